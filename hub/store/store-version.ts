import type Database from 'better-sqlite3';
import { DamagedStoreError, NewerStoreError } from './store-fault.ts';

/** No version of ours will get beyond; a damaged header does. */
const VERSION_MAX = 0xffff;

/** `PRAGMA user_version`: 0 in a new database, and in those from before there were versions. */
export function versionOf(db: Database.Database): number {
  return db.pragma('user_version', { simple: true }) as number;
}

/**
 * Refuses a database of a later version before anything in it is touched.
 *
 * @param known the highest version that this program reads
 * @param loss what it means to move the file away
 * @throws NewerStoreError, DamagedStoreError, errors of SQLite
 */
export function refuseNewer(db: Database.Database, known: number, loss: string): void {
  const version = versionOf(db);
  if (version < 0 || version > VERSION_MAX) {
    throw new DamagedStoreError(`no version of it was ever ${version}`);
  }
  if (version <= known) return;
  throw new NewerStoreError(
    `${db.name} is of version ${version}, and this program knows versions up to ${known}: run the ` +
      `version of starferry that wrote it; or move the file away, ${loss}`,
  );
}
