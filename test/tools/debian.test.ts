import { execFile } from 'node:child_process';
import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
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
  const ask = async () => {
    const code = `import(${JSON.stringify(debian)})
      .then((module) => module.debianProgram('prometheus'))
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
});
