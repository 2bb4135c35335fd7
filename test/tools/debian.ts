import { execFile } from 'node:child_process';
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { assert } from '../../base/assert.ts';
import {
  type DebianSuite,
  programVersion,
  suiteOptions,
  versionFits,
  wantedVersion,
} from './debian-suite.ts';

const run = promisify(execFile);

interface ProgramOfPackage {
  packageName: string;
  /** Where the package has it. */
  path: string;
  /** Makes it say its version and end. */
  versionFlag: string;
}

const programs = {
  prometheus: inBin('prometheus', 'prometheus'),
  'prometheus-node-exporter': inBin('prometheus-node-exporter', 'prometheus-node-exporter'),
  strace: inBin('strace', 'strace'),
  'victoria-metrics': inBin('victoria-metrics', 'victoria-metrics'),
  vmagent: inBin('vmagent', 'victoria-metrics'),
  nginx: { packageName: 'nginx', path: 'usr/sbin/nginx', versionFlag: '-v' },
} satisfies Record<string, ProgramOfPackage>;

export type DebianProgram = keyof typeof programs;

function inBin(name: string, packageName: string): ProgramOfPackage {
  return { packageName, path: `usr/bin/${name}`, versionFlag: '--version' };
}

const aptMsMax = 300_000;
const versionMsMax = 20_000;

const cacheFolder =
  process.env['STARFERRY_CACHE'] ?? fileURLToPath(new URL('../../.cache', import.meta.url));

/**
 * Path of a real program from Debian: the one in PATH, else unpacked from its package into the
 * cache folder, so that nothing is installed, no daemon starts and root is not needed. With a
 * suite, one of that suite or as new, else as the machine's own Debian has it. Throws one line
 * that says what to install where that is impossible: tests never skip what they need.
 */
export async function debianProgram(name: DebianProgram, suite?: DebianSuite): Promise<string> {
  const installed = inPath(name);
  if (installed !== undefined && (await isAsNewAs(installed, name, suite))) return installed;
  const folder = join(cacheFolder, 'debian', suite === undefined ? name : `${name}-${suite}`);
  const program = join(folder, programs[name].path);
  if (isExecutable(program)) return program;
  try {
    await unpackOnce(name, suite, folder);
  } catch (error) {
    const [wanted, remedy] =
      suite === undefined
        ? [name, `install it with: apt-get install ${programs[name].packageName}`]
        : [`${name} ${wantedVersion(suite)}`, `put one into PATH, or at ${program}`];
    const trouble = troubleOf(error);
    throw new Error(
      `${wanted} is needed and cannot be fetched from Debian (${trouble}): ${remedy}`,
    );
  }
  return program;
}

/** Of programs other than Prometheus nobody can tell: vmagent does not say its version. */
async function isAsNewAs(
  program: string,
  name: DebianProgram,
  suite: DebianSuite | undefined,
): Promise<boolean> {
  if (suite === undefined) return true;
  return name === 'prometheus' && versionFits(await programVersion(program), suite);
}

function inPath(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Several test files ask at the same time: each unpacks into a folder of its own and renames it
 * into place. The first rename wins and the others find the program there, so no lock can be
 * left behind by a killed test.
 */
async function unpackOnce(
  name: DebianProgram,
  suite: DebianSuite | undefined,
  folder: string,
): Promise<void> {
  mkdirSync(dirname(folder), { recursive: true });
  const fresh = mkdtempSync(`${folder}.`);
  try {
    const unpacked = join(fresh, 'unpacked');
    const program = join(unpacked, programs[name].path);
    await run('dpkg', ['-x', await download(name, suite, fresh), unpacked]);
    // Proves that the shared libraries it needs are on this machine.
    await run(program, [programs[name].versionFlag], { timeout: versionMsMax });
    if (name === 'prometheus' && !(await isAsNewAs(program, name, suite))) {
      throw new Error(`${suite} has version ${await programVersion(program)}`);
    }
    renameUnlessThere(unpacked, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Path of the package file, fetched into `folder`. */
async function download(
  name: DebianProgram,
  suite: DebianSuite | undefined,
  folder: string,
): Promise<string> {
  const { packageName } = programs[name];
  const fetchPackage = (options: string[]) =>
    run('apt-get', [...options, 'download', packageName], { cwd: folder, timeout: aptMsMax });
  if (suite !== undefined) await fetchPackage(await suiteOptions(suite, folder));
  else {
    try {
      await fetchPackage([]);
    } catch (error) {
      // The package lists of a fresh image are missing, those of an old one name what is gone.
      if (process.getuid?.() !== 0) throw error;
      await run('flock', [join(folder, '..', 'apt.lock'), 'apt-get', 'update'], {
        timeout: aptMsMax,
      });
      await fetchPackage([]);
    }
  }
  const file = readdirSync(folder).find((entry) => entry.endsWith('.deb'));
  assert(file !== undefined, `apt-get download ${packageName} left no package file`);
  return join(folder, file);
}

function renameUnlessThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

/** The line of apt or dpkg that names the trouble: they say it first on stderr. */
function troubleOf(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  const lines = (stderr ?? '').split('\n').filter((line) => line !== '');
  return lines.find((line) => line.startsWith('E:')) ?? lines[0] ?? message;
}
