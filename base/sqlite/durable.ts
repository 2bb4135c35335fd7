import type Database from 'better-sqlite3';

/** `PRAGMA synchronous` as a number: FULL syncs the write-ahead log with every commit. */
const FULL = 2;

/**
 * Makes every commit of a connection durable when it returns, and reads back that it is so: SQLite
 * answers a mode that the file system does not have with another one, and not with an error. To be
 * called at every open, since a reopened WAL database would be NORMAL.
 *
 * @throws Error when the file system cannot keep a write-ahead log; errors of SQLite
 */
export function makeDurable(db: Database.Database): void {
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  const journal = db.pragma('journal_mode', { simple: true });
  const synchronous = db.pragma('synchronous', { simple: true });
  if (journal === 'wal' && synchronous === FULL) return;
  throw new Error(
    `${db.name}: commits are not durable (journal_mode ${journal}, synchronous ${synchronous}): ` +
      'put data_dir on a local file system',
  );
}
