import { statSync } from 'node:fs';
import { basename, join } from 'node:path';

/** A file as the file system knows it: which one it is, and when it was written to. */
interface FileState {
  identity: string;
  version: string;
}

type States = readonly (FileState | undefined)[];

/**
 * Notices that somebody else has touched the files of a database that is open: whoever has a file
 * open does not see that its name now stands for another one or for none, and commits go on
 * succeeding into nowhere.
 */
export class OpenFiles {
  readonly #paths: readonly string[];
  #noted: States;
  /** Whether `#noted` is younger than everything that SQLite has written. */
  #isNoted = true;
  /** Stays: what was noted before is then what is open. */
  #change: string | undefined;

  /** @param path of the database, whose write-ahead log lies beside it */
  constructor(path: string) {
    this.#paths = [path, `${path}-wal`];
    this.#noted = this.#paths.map(stateOf);
  }

  /**
   * To be called whenever SQLite may have written. It keeps the files that it has opened. Where the
   * files cannot be looked at the next look makes up for it: what was committed stays committed.
   */
  note(): void {
    this.#isNoted = false;
    try {
      this.#look();
    } catch {
      // `change` says so to whoever wants to write next.
    }
  }

  /**
   * What has happened to the files since the last note, if anything has.
   *
   * @throws errors of the file system while the files cannot be looked at
   */
  change(): string | undefined {
    if (this.#change !== undefined) return this.#change;
    this.#look();
    return this.#change;
  }

  /**
   * Whether the open files lie in `folder` by their names, so that whoever closes them loses
   * nothing.
   *
   * @throws errors of the file system
   */
  areIn(folder: string): boolean {
    return this.#paths.every((path, index) => {
      const open = this.#noted[index];
      return (
        open === undefined || open.identity === stateOf(join(folder, basename(path)))?.identity
      );
    });
  }

  #look(): void {
    const now = this.#paths.map(stateOf);
    this.#change ??= this.#difference(now);
    if (this.#change !== undefined) return;
    this.#noted = now;
    this.#isNoted = true;
  }

  #difference(now: States): string | undefined {
    for (const [index, path] of this.#paths.entries()) {
      const [before, after] = [this.#noted[index], now[index]];
      if (before === undefined) continue;
      if (after === undefined) return `${path} was deleted`;
      const isSame =
        before.identity === after.identity && (!this.#isNoted || before.version === after.version);
      if (!isSame) return `${path} was replaced or written to`;
    }
    return undefined;
  }
}

/** @throws errors of the file system other than that there is no such file */
function stateOf(path: string): FileState | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  const { dev, ino, size, mtimeNs } = stats;
  return { identity: `${dev} ${ino}`, version: `${size} ${mtimeNs}` };
}
