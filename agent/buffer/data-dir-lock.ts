import { statSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { makeFolder } from './folders.ts';

/**
 * Keeps other agents out of a data_dir as long as this process lives, however it ends: two that
 * write to one buffer would take each other's commits for damage. Node has no file locks, SQLite
 * has.
 *
 * @throws Error when another process has it; errors of SQLite and of the file system
 */
export function lockDataDir(dataDir: string): void {
  makeFolder(dataDir);
  const path = lockPath(dataDir);
  const lock = new Database(path, { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
    held.set(identityOf(path) ?? path, lock);
  } catch (error) {
    lock.close();
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error;
    throw new Error('another process uses this folder: is an agent running already?');
  }
}

/**
 * The same for a folder that this process has locked before: another one may have its name by now.
 *
 * @throws as `lockDataDir`
 */
export function keepDataDirLocked(dataDir: string): void {
  const identity = identityOf(lockPath(dataDir));
  if (identity === undefined || !held.has(identity)) lockDataDir(dataDir);
}

/** By file: a connection that nobody refers to is closed, and with it goes the lock. */
const held = new Map<string, Database.Database>();

function lockPath(dataDir: string): string {
  return join(dataDir, 'lock');
}

function identityOf(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev} ${stats.ino}`;
}
