import { type BigIntStats, statSync } from 'node:fs';

/**
 * Notices that somebody else has touched the files of a database that is open: whoever has a file
 * open does not see that its name now stands for another one or for none, and commits go on
 * succeeding into nowhere.
 */
export class OpenFiles {
  readonly #paths: readonly string[];
  #noted: readonly (string | undefined)[] = [];

  /** @param path of the database, whose write-ahead log lies beside it */
  constructor(path: string) {
    this.#paths = [path, `${path}-wal`];
  }

  /** To be called whenever SQLite may have written. */
  note(): void {
    this.#noted = this.#paths.map(stateOf);
  }

  /** What has happened to the files since the last note, if anything has. */
  change(): string | undefined {
    for (const [index, path] of this.#paths.entries()) {
      const now = stateOf(path);
      if (now === this.#noted[index]) continue;
      return now === undefined ? `${path} was deleted` : `${path} was replaced or written to`;
    }
    return undefined;
  }
}

function stateOf(path: string): string | undefined {
  const stats: BigIntStats | undefined = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs}`;
}
