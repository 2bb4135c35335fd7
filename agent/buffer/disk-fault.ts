/**
 * Whether SQLite failed because of the disk, or because another process holds the database: faults
 * of the world that pass, unlike a statement that is wrong.
 */
export function isDiskFault(error: unknown): error is Error & { code: string } {
  if (!(error instanceof Error) || !('code' in error)) return false;
  return /^SQLITE_(FULL|IOERR|BUSY|READONLY)/.test(String(error.code));
}
