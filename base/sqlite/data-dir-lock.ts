import { rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { makeFolder } from '../folders.ts';

/** Another process has the data_dir. */
export class DataDirInUse extends Error {
  override readonly name = 'DataDirInUse';
  readonly code = 'EBUSY';
}

/** A data_dir that no other process may use until `release`, or until this process ends. */
export interface DataDirLock {
  /** False once somebody has removed the folder or the lock in it: others can take it then. */
  isInPlace(): boolean;
  release(): void;
}

/**
 * Keeps other processes out of a data_dir as long as this one lives, however it ends: two that
 * write to one database would take each other's commits for damage. Node has no file locks, SQLite
 * has.
 *
 * @param program names in the error what is probably running already: `agent` or `hub`
 * @throws DataDirInUse; errors of SQLite and of the file system
 */
export function lockDataDir(dataDir: string, program: 'agent' | 'hub'): DataDirLock {
  makeFolder(dataDir);
  const path = join(dataDir, 'lock');
  const lock = acquire(path, program);
  held.add(lock);
  const inode = inodeOf(path);
  return {
    isInPlace: () => inode !== undefined && inodeOf(path) === inode,
    release() {
      held.delete(lock);
      lock.close();
    },
  };
}

function acquire(path: string, program: 'agent' | 'hub'): Database.Database {
  const lock = new Database(path, { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    const { code } = error as { code?: string };
    if (code === 'SQLITE_NOTADB') {
      // The lock holds nothing, so nothing is lost with what somebody has written into it.
      rmSync(path);
      return acquire(path, program);
    }
    if (code !== 'SQLITE_BUSY') throw error;
    const article = program === 'agent' ? 'an' : 'a';
    throw new DataDirInUse(
      `${dirname(path)}: another process uses this folder: is ${article} ${program} running ` +
        'already? Each needs a data_dir of its own',
    );
  }
}

/** A connection that nobody refers to is closed, and with it goes the lock. */
const held = new Set<Database.Database>();

function inodeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}
