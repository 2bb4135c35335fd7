import { isDamage } from './damage.ts';

/**
 * Whether SQLite failed because of the disk, or because another process holds the database: faults
 * of the world that pass, unlike a statement that is wrong and unlike damage.
 */
export function isDiskFault(error: unknown): error is Error & { code: string } {
  if (!(error instanceof Error) || !('code' in error) || isDamage(error)) return false;
  return /^SQLITE_(FULL|IOERR|BUSY|READONLY)/.test(String(error.code));
}
