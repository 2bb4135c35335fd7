import { statSync } from 'node:fs';

/** A file as the file system knows it: which one it is, and when it was written to. */
interface FileState {
  identity: string;
  version: string;
}

/**
 * Notices that somebody else has touched the files of a database that is open: whoever has a file
 * open does not see that its name now stands for another one or for none, and commits go on
 * succeeding into nowhere.
 */
export class OpenFiles {
  readonly #paths: readonly string[];
  #noted: readonly (FileState | undefined)[];
  /** Seen when SQLite had written in between. */
  #change: string | undefined;

  /** @param path of the database, whose write-ahead log lies beside it */
  constructor(path: string) {
    this.#paths = [path, `${path}-wal`];
    this.#noted = this.#paths.map(stateOf);
  }

  /** To be called whenever SQLite may have written. It keeps the files that it has opened. */
  note(): void {
    const now = this.#paths.map(stateOf);
    this.#change ??= this.#difference(now, (a, b) => a.identity === b.identity);
    this.#noted = now;
  }

  /** What has happened to the files since the last note, if anything has. */
  change(): string | undefined {
    const isSame = (a: FileState, b: FileState): boolean =>
      a.identity === b.identity && a.version === b.version;
    return this.#change ?? this.#difference(this.#paths.map(stateOf), isSame);
  }

  #difference(
    now: readonly (FileState | undefined)[],
    isSame: (a: FileState, b: FileState) => boolean,
  ): string | undefined {
    for (const [index, path] of this.#paths.entries()) {
      const [before, after] = [this.#noted[index], now[index]];
      if (before === undefined || (after !== undefined && isSame(before, after))) continue;
      return after === undefined ? `${path} was deleted` : `${path} was replaced or written to`;
    }
    return undefined;
  }
}

function stateOf(path: string): FileState | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  const { dev, ino, size, mtimeNs } = stats;
  return { identity: `${dev} ${ino}`, version: `${size} ${mtimeNs}` };
}
