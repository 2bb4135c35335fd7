import { readSync } from 'node:fs';

/**
 * Bytes [at, at + count) of an open file; zeros where it ends before, and where the disk cannot read.
 *
 * @throws errors of the file system other than EIO
 */
export function readAt(file: number, at: number, count: number): Buffer {
  const bytes = Buffer.alloc(count);
  try {
    readSync(file, bytes, 0, count, at);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
    bytes.fill(0);
  }
  return bytes;
}
