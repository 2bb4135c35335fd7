import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Suites newer than the machine's own that programs are taken from. */
export type DebianSuite = 'trixie' | 'forky';

/**
 * What each suite's Prometheus is wanted for. Flags and feature names change with the major
 * version, so a newer one cannot stand in for the older.
 */
const wantedVersions: Record<DebianSuite, { major: number; minorMin: number }> = {
  // Sends and takes native histograms, speaks remote write 1.0 only.
  trixie: { major: 2, minorMin: 53 },
  // Speaks remote write 2.0.
  forky: { major: 3, minorMin: 5 },
};

const aptMsMax = 300_000;
const versionMsMax = 20_000;
const archiveKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** `3.5.3+ds1`, as the program itself says; undefined when it does not run here or says none. */
export async function programVersion(program: string): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await run(program, ['--version'], { timeout: versionMsMax });
    return /version (\d+\.\d+\S*)/.exec(`${stdout}${stderr}`)?.[1];
  } catch {
    return undefined;
  }
}

/** Whether a program of this version does what the one of the suite is wanted for. */
export function versionFits(version: string | undefined, suite: DebianSuite): boolean {
  const [major, minor] = (version ?? '').split('.').map(Number);
  const wanted = wantedVersions[suite];
  return major === wanted.major && (minor ?? 0) >= wanted.minorMin;
}

/** `3.5 or a later 3.x`, for people. */
export function wantedVersion(suite: DebianSuite): string {
  const { major, minorMin } = wantedVersions[suite];
  return `${major}.${minorMin} or a later ${major}.x`;
}

/**
 * Options that make apt-get see one suite only, its list fetched into `folder`: the machine's own
 * sources, lists and cache stay as they are, and root is not needed. Signatures are checked as
 * usual, against the keys this machine has for Debian.
 */
export async function suiteOptions(suite: DebianSuite, folder: string): Promise<string[]> {
  const sources = join(folder, `${suite}.sources`);
  const keyring = existsSync(archiveKeyring) ? `Signed-By: ${archiveKeyring}\n` : '';
  const mirror = await debianMirror();
  writeFileSync(
    sources,
    `Types: deb\nURIs: ${mirror}\nSuites: ${suite}\nComponents: main\n${keyring}`,
  );
  const settings = {
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::Cache': join(folder, 'cache'),
    // Root's apt would fetch as a user who cannot enter the folder, and warn about it.
    'APT::Sandbox::User': 'root',
  };
  for (const made of ['lists', 'cache']) mkdirSync(join(folder, made), { recursive: true });
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  await run('apt-get', [...options, 'update'], { timeout: aptMsMax });
  return options;
}

/**
 * Where this machine gets its own Debian from: whatever mirror it reaches has the other suites
 * too. apt itself reads the sources, in every notation they may have, and fetches nothing here.
 */
async function debianMirror(): Promise<string> {
  const release = /^VERSION_CODENAME="?(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  const { stdout } = await run('apt-get', ['update', '--print-uris'], { timeout: aptMsMax });
  const mirror = new RegExp(`^'([^']+)/dists/${release}/InRelease'`, 'm').exec(stdout)?.[1];
  if (mirror === undefined) throw new Error(`apt has no source for Debian ${release}`);
  return mirror;
}
