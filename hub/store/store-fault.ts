/** What the files of a database hold is not what this program wrote. */
export class DamagedStoreError extends Error {
  override readonly name = 'DamagedStoreError';
}

/** The database was written by a later version of this program, which knows more than this one. */
export class NewerStoreError extends Error {
  override readonly name = 'NewerStoreError';
}

/**
 * Whether an error says that the files are damaged: unlike a fault of the disk it does not pass.
 * A statement that no longer fits the tables, and a key that is there already, say so as well: all
 * statements fit at the start, and nobody else writes.
 */
export function isDamage(error: unknown): boolean {
  if (error instanceof DamagedStoreError) return true;
  return /^SQLITE_(CORRUPT|NOTADB|FORMAT|SCHEMA|MISMATCH|CONSTRAINT_(PRIMARYKEY|UNIQUE|ROWID)|ERROR|READONLY_DBMOVED|IOERR_(READ|SHORT_READ|CORRUPTFS|DATA)$)/.test(
    codeOf(error),
  );
}

/** Whether an error comes from the disk or the file system: a fault of the world that may pass. */
export function isDiskFault(error: unknown): boolean {
  if (isDamage(error)) return false;
  return /^(E[A-Z]+$|SQLITE_(FULL|IOERR|BUSY|LOCKED|READONLY|CANTOPEN|PERM|AUTH|NOMEM|NOLFS|PROTOCOL))/.test(
    codeOf(error),
  );
}

/** What an operator can do about a fault of the disk under `dataDir`. */
export function remedyFor(error: unknown, dataDir: string): string {
  const code = codeOf(error);
  if (/FULL|ENOSPC|EDQUOT/.test(code)) return `free space on the disk of ${dataDir}`;
  if (/READONLY|CANTOPEN|PERM|AUTH|EACCES|EROFS|ENOTDIR|ENOENT|EEXIST/.test(code)) {
    return `make ${dataDir} a folder that the hub can write to`;
  }
  if (/BUSY|LOCKED/.test(code)) return `end whatever else uses the files in ${dataDir}`;
  return `check the disk of ${dataDir}`;
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
