import { execFile } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Workspace } from './workspace.ts';

const run = promisify(execFile);
const debian = fileURLToPath(new URL('debian.ts', import.meta.url));
const aptDownload = '#!/bin/sh\n[ "$1" = download ] && echo > "$2.deb"\n';
/** Both have begun before either goes on. */
const waitForTheOther = `PATH=/usr/bin:/bin
touch "$STARFERRY_CACHE/begun.$$"
until [ "$(ls "$STARFERRY_CACHE" | grep -c begun)" = 2 ]; do sleep 0.01; done
`;
const dpkgUnpack = `#!/bin/sh
PATH=/usr/bin:/bin
mkdir -p "$3/usr/bin" && printf '#!/bin/sh\\nexit 0\\n' > "$3/usr/bin/prometheus"
chmod +x "$3/usr/bin/prometheus"
`;

/** Knows one mirror, keeps the sources it is told to use and downloads anything. */
function suiteApt(): string {
  const release = /^VERSION_CODENAME=(.*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  return `#!/bin/sh
PATH=/usr/bin:/bin
case "$*" in
  *--print-uris) echo "'http://other.example/dists/stable/InRelease' other 0"
    echo "'http://mirror.example/debian/dists/${release}/InRelease' mirror 0" ;;
  *sourceparts=/dev/null*update)
    cp "$(echo "$*" | sed 's/.*sourcelist=\\([^ ]*\\).*/\\1/')" "$STARFERRY_CACHE/sources" ;;
  *sourceparts=/dev/null*download*) echo > prometheus.deb ;;
  *) exit 1 ;;
esac
`;
}

/** Debian's tools are played by scripts here; the end-to-end tests use the real ones. */
describe('debianProgram', () => {
  let workspace: Workspace;
  beforeEach(() => {
    workspace = new Workspace('debian');
  });
  afterEach(() => workspace.close());

  const script = (name: string, text: string) => {
    const path = join(workspace.subfolder('bin'), name);
    writeFileSync(path, text);
    chmodSync(path, 0o755);
    return path;
  };
  const ask = async (suite?: string) => {
    const question = `'prometheus'${suite === undefined ? '' : `, '${suite}'`}`;
    const code = `import(${JSON.stringify(debian)})
      .then((module) => module.debianProgram(${question}))
      .then(console.log, (error) => { console.log(error.message); process.exitCode = 1; })`;
    const cache = workspace.subfolder('cache');
    const environment = { PATH: workspace.subfolder('bin'), STARFERRY_CACHE: cache };
    const { stdout } = await run(process.execPath, ['-e', code], { env: environment });
    return stdout.trim();
  };

  test('prefers the program in PATH', async () => {
    const installed = script('prometheus', '#!/bin/sh\n');
    expect(await ask()).toBe(installed);
  });

  test('gives two who ask at the same time the same program, and leaves nothing else', async () => {
    script('apt-get', aptDownload + waitForTheOther);
    script('dpkg', dpkgUnpack);
    const packages = join(workspace.subfolder('cache'), 'debian');
    const answers = await Promise.all([ask(), ask()]);
    const program = join(packages, 'prometheus', 'usr', 'bin', 'prometheus');
    expect(new Set(answers)).toEqual(new Set([program]));
    expect(readdirSync(packages)).toEqual(['prometheus']);
  });

  test('keeps no program that does not run here', async () => {
    script('apt-get', aptDownload);
    script('dpkg', dpkgUnpack.replace('exit 0', 'echo libfoo.so.1 is missing >&2; exit 127'));
    await expect(ask()).rejects.toMatchObject({
      stdout: expect.stringContaining('(libfoo.so.1 is missing)'),
    });
    expect(readdirSync(join(workspace.subfolder('cache'), 'debian'))).toEqual([]);
  });

  test('says in one line what to install when nothing can be fetched', async () => {
    script('apt-get', '#!/bin/sh\necho "E: Unable to locate package $2" >&2\nexit 100\n');
    script('flock', '#!/bin/sh\nshift\nexec "$@"\n');
    await expect(ask()).rejects.toMatchObject({
      stdout: expect.stringMatching(
        /^prometheus is needed .*\(E: Unable to locate package.*\): install it with: apt-get install prometheus\n$/,
      ),
    });
  });

  describe('of a newer suite', () => {
    const version = (text: string) => `#!/bin/sh\necho "prometheus, version ${text} (branch: x)"\n`;

    test.each([
      ['3.5.3+ds1', 'forky'],
      ['3.14.0', 'forky'],
      ['2.53.0', 'trixie'],
    ])('takes %s in PATH for the one of %s', async (inPath, suite) => {
      const installed = script('prometheus', version(inPath));
      expect(await ask(suite)).toBe(installed);
    });

    test.each([
      ['2.42.0', 'trixie'],
      ['3.5.3', 'trixie'],
      ['2.53.3', 'forky'],
      ['3.4.0', 'forky'],
    ])('does not take %s in PATH for the one of %s', async (inPath, suite) => {
      script('prometheus', version(inPath));
      script('apt-get', '#!/bin/sh\nexit 1\n');
      await expect(ask(suite)).rejects.toMatchObject({ stdout: expect.stringContaining('needed') });
    });

    test('fetches it from the mirror of the machine, beside its own sources and lists', async () => {
      script('apt-get', suiteApt());
      script('dpkg', dpkgUnpack.replace('exit 0', 'echo version 3.6.0'));
      const cache = workspace.subfolder('cache');
      const program = join(cache, 'debian', 'prometheus-forky', 'usr', 'bin', 'prometheus');
      expect(await ask('forky')).toBe(program);
      const sources = readFileSync(join(cache, 'sources'), 'utf8');
      expect(sources).toContain('URIs: http://mirror.example/debian\nSuites: forky\n');
      expect(readdirSync(join(cache, 'debian'))).toEqual(['prometheus-forky']);
    });

    test('keeps none that is too old, and says where one may be put', async () => {
      script('apt-get', suiteApt());
      script('dpkg', dpkgUnpack.replace('exit 0', 'echo version 2.53.3'));
      const folder = join(workspace.subfolder('cache'), 'debian');
      await expect(ask('forky')).rejects.toMatchObject({
        stdout:
          'prometheus 3.5 or a later 3.x is needed and cannot be fetched from Debian ' +
          '(forky has version 2.53.3): put one into PATH, or at ' +
          `${join(folder, 'prometheus-forky', 'usr', 'bin', 'prometheus')}\n`,
      });
      expect(readdirSync(folder)).toEqual([]);
    });
  });
});
