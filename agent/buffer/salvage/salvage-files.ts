import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { makeFolder, syncPath } from '../../../base/folders.ts';
import { HIGH_WATER_FILE } from '../high-water.ts';

// A salvage is a sequence of renames, so that a crash anywhere leaves a state that says how to go
// on; X is the time of its beginning:
//
//   salvaged-X.db.part   begun: buffer.db and its log belong into damaged-X/, then a new database is
//                        built here from what lies there
//   salvaged-X.db        built and synced: it becomes buffer.db
//   damaged-X/           what was found, kept until somebody deletes it

const DATABASE = 'buffer.db';

/** A salvage of a data_dir, named by the time of its beginning. */
export class SalvageFiles {
  readonly dataDir: string;
  readonly #stamp: string;

  private constructor(dataDir: string, stamp: string) {
    this.dataDir = dataDir;
    this.#stamp = stamp;
  }

  /** The one that a crash has interrupted. */
  static unfinished(dataDir: string): SalvageFiles | undefined {
    const names = isThere(dataDir) ? readdirSync(dataDir) : [];
    for (const name of names) {
      const stamp = /^salvaged-(.+)\.db(\.part)?$/.exec(name)?.[1];
      if (stamp !== undefined) return new SalvageFiles(dataDir, stamp);
    }
    return undefined;
  }

  /** Begins one: the files are set aside, open or not. */
  static begin(dataDir: string, nowMs: number): SalvageFiles {
    makeFolder(dataDir);
    const files = new SalvageFiles(dataDir, freeStamp(dataDir, nowMs));
    writeFileSync(files.part, '');
    files.setAside();
    return files;
  }

  /** Where the damaged files are kept. */
  get folder(): string {
    return join(this.dataDir, `damaged-${this.#stamp}`);
  }

  /** Where the new database is built. */
  get part(): string {
    return `${this.#complete}.part`;
  }

  get isComplete(): boolean {
    return isThere(this.#complete);
  }

  get #complete(): string {
    return join(this.dataDir, `salvaged-${this.#stamp}.db`);
  }

  /** Moves what is in place into the folder. The index that processes share is worth nothing. */
  setAside(): void {
    mkdirSync(this.folder, { recursive: true });
    for (const name of [`${DATABASE}-wal`, DATABASE]) {
      const from = join(this.dataDir, name);
      if (isThere(from)) renameSync(from, unusedPath(join(this.folder, name)));
    }
    rmSync(join(this.dataDir, `${DATABASE}-shm`), { force: true });
    const witness = join(this.dataDir, HIGH_WATER_FILE);
    if (isThere(witness)) copyFileSync(witness, join(this.folder, HIGH_WATER_FILE));
  }

  /** Empties the place where the new database is built; that there is one says that it goes on. */
  clearPart(): void {
    for (const suffix of ['-wal', '-shm']) rmSync(this.part + suffix, { force: true });
    writeFileSync(this.part, '');
  }

  /** The new database is closed and whole: from here on no crash can lose it. */
  complete(): void {
    syncPath(this.part);
    renameSync(this.part, this.#complete);
    syncPath(this.dataDir);
  }

  /** Puts the new database in place. The witness told of the old one. */
  finish(): void {
    if (isThere(join(this.dataDir, DATABASE))) this.setAside();
    rmSync(join(this.dataDir, HIGH_WATER_FILE), { force: true });
    renameSync(this.#complete, join(this.dataDir, DATABASE));
    syncPath(this.dataDir);
  }
}

/** `20261121T083954Z`, with a number behind it if there has been one in that second. */
function freeStamp(dataDir: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, '');
  for (let number = 1; ; number++) {
    const stamp = number === 1 ? time : `${time}-${number}`;
    if (!isThere(join(dataDir, `damaged-${stamp}`))) return stamp;
  }
}

/** Nothing that was set aside is ever overwritten. */
function unusedPath(path: string): string {
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? path : `${path}.${number}`;
    if (!isThere(candidate)) return candidate;
  }
}

/**
 * Only what is surely not there is taken for absent: a disk that does not answer now must not make
 * a database look lost.
 *
 * @throws errors of the file system
 */
function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
