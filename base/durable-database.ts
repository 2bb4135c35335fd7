import type Database from 'better-sqlite3';

/** What SQLite numbers FULL: every commit is synced. */
const SYNCHRONOUS_FULL = 2;

/**
 * Throws unless every commit of an open database is synced before it returns. SQLite passes over a
 * pragma that it cannot follow, so the connection is asked for what has come of it. Whoever answers
 * 2xx after a commit relies on both.
 *
 * @param name of the file, for the message
 * @throws Error that says what to do
 */
export function assertDurable(db: Database.Database, name: string): void {
  const mode = db.pragma('journal_mode', { simple: true });
  const synchronous = db.pragma('synchronous', { simple: true });
  if (mode === 'wal' && synchronous === SYNCHRONOUS_FULL) return;
  throw new Error(
    `${name} is open with journal_mode ${mode} and synchronous ${synchronous} instead of wal and ` +
      `${SYNCHRONOUS_FULL}, so that a power cut could lose what was acknowledged: put data_dir on a ` +
      'local file system',
  );
}
