import type Database from 'better-sqlite3';
import type { LostSegment } from './losses.ts';

/** SQL of what was discarded and not told yet; the transactions are those of BufferDatabase. */
export class DiscardTable {
  readonly #statements;

  constructor(db: Database.Database) {
    const sql = (text: string): Database.Statement<unknown[]> => db.prepare(text);
    this.#statements = {
      add: sql(
        'INSERT INTO discarded (tenant, samples, oldest, newest) ' +
          'VALUES (:tenant, :samples, :oldest, :newest) ON CONFLICT DO UPDATE SET ' +
          'samples = samples + excluded.samples, oldest = min(oldest, excluded.oldest), ' +
          'newest = max(newest, excluded.newest)',
      ),
      all: sql('SELECT tenant, samples, oldest, newest FROM discarded ORDER BY tenant'),
      clear: sql('DELETE FROM discarded'),
    };
  }

  /** To be committed with the removal of the samples. */
  add(gone: LostSegment): void {
    this.#statements.add.run(gone);
  }

  /** One sum for each tenant. */
  all(): LostSegment[] {
    return this.#statements.all.all() as LostSegment[];
  }

  clear(): void {
    this.#statements.clear.run();
  }
}
