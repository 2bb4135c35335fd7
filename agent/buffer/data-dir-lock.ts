import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

/**
 * Keeps other agents out of a data_dir as long as this process lives, however it ends: two that
 * write to one buffer would take each other's commits for damage. Node has no file locks, SQLite
 * has.
 *
 * @throws Error when another process has it
 */
export function lockDataDir(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true });
  const lock = new Database(join(dataDir, 'lock'), { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error;
    throw new Error('another process uses this folder: is an agent running already?');
  }
  held.push(lock);
}

/** A connection that nobody refers to is closed, and with it goes the lock. */
const held: Database.Database[] = [];
