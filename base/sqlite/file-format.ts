import { closeSync, openSync } from 'node:fs';
import { readAt } from './read-at.ts';

const HEADER_BYTES = 100;
/** Where the header says what a program must know to write to the file (fileformat2.html, 1.3.3). */
const WRITE_VERSION_AT = 18;
/** 1: rollback journal, 2: write-ahead log. */
const WRITE_VERSION_MAX = 2;

/**
 * Whether an error of opening `path` comes from damage that SQLite does not take for damage: with a
 * flipped bit in its write version a file seems to be that of a later SQLite, and is read-only.
 */
export function isUnknownFormat(error: unknown, path: string): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!code.startsWith('SQLITE_READONLY')) return false;
  const file = openSync(path, 'r');
  try {
    return hasUnknownWriteVersion(readAt(file, 0, HEADER_BYTES));
  } finally {
    closeSync(file);
  }
}

/** The same, by the header of a file or its first page. */
export function hasUnknownWriteVersion(header: Uint8Array): boolean {
  return header[WRITE_VERSION_AT]! > WRITE_VERSION_MAX;
}
