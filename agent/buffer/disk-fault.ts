import { isDamage } from './damage.ts';

/** A fault of SQLite or of the file system; `code` names it. */
export type DiskFault = Error & { code: string };

/**
 * Whether SQLite or the file system failed because of the disk, or because another process holds
 * the database: faults of the world that pass, unlike a statement that is wrong and unlike damage.
 * No list of error numbers is complete: every failed call of the system counts.
 */
export function isDiskFault(error: unknown): error is DiskFault {
  if (!(error instanceof Error) || !('code' in error) || isDamage(error)) return false;
  if ('syscall' in error && 'errno' in error) return true;
  return /^SQLITE_(FULL|IOERR|BUSY|READONLY|CANTOPEN|PROTOCOL|PERM|NOLFS|NOMEM)/.test(
    String(error.code),
  );
}

/** The disk has no room for what is salvaged; it is worth another attempt. */
export class NoRoomError extends Error {
  override readonly name = 'NoRoomError';
}

/** Whether there is no room, for whatever else is written as well. */
export function isDiskFull(error: unknown): error is DiskFault {
  return isDiskFault(error) && /^(SQLITE_FULL|ENOSPC|EDQUOT)$/.test(error.code);
}

/** Whether a page could not be read. That counts as damage, and may pass all the same. */
export function isReadError(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  return /^SQLITE_IOERR_(READ|SHORT_READ|CORRUPTFS|DATA)$/.test(String(error.code));
}
