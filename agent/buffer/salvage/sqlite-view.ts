import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { hasUnknownWriteVersion } from '../../../base/sqlite/file-format.ts';
import type { PageFiles } from './page-files.ts';

// What only SQLite can do for whoever reads a buffer without its agent, and without changing it.

const PROBLEMS_MAX = 20;

/**
 * Keeps the files of an agent that runs as they are at this moment for whoever reads their pages:
 * it goes on, only its checkpoints wait. Without effect when they are too damaged for SQLite.
 *
 * @returns ends it
 */
export function holdSnapshot(folder: string): () => void {
  let db: Database.Database | undefined;
  try {
    db = new Database(join(folder, 'buffer.db'), { readonly: true });
    db.exec('BEGIN');
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
  } catch {
    db?.close();
    return () => {};
  }
  const held = db;
  return () => held.close();
}

/** Whether an agent holds the lock of the folder. */
export function isInUse(folder: string): boolean {
  if (!existsSync(join(folder, 'lock'))) return false;
  const lock = new Database(join(folder, 'lock'), { readonly: true, timeout: 0 });
  try {
    lock.prepare('SELECT count(*) FROM sqlite_schema').get();
    return false;
  } catch (error) {
    return (error as { code?: string }).code === 'SQLITE_BUSY';
  } finally {
    lock.close();
  }
}

/**
 * What SQLite's own check says: it gets a copy in the folder for temporary files, as the database
 * and its log are together, since it could not look at the files themselves without touching them.
 */
export function integrityProblems(pages: PageFiles): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'starferry-check-'));
  try {
    const path = join(folder, 'copy.db');
    writeCopy(pages, path);
    const db = new Database(path, { readonly: true });
    try {
      const found = db.pragma(`integrity_check(${PROBLEMS_MAX})`) as { integrity_check: string }[];
      const lines = found.map((row) => row.integrity_check).filter((line) => line !== 'ok');
      const all = lines.flatMap((line) => line.split('\n'));
      // Bytes that the copy does not have as they are.
      return hasUnknownWriteVersion(pages.page(1)) ? ['unknown write version', ...all] : all;
    } finally {
      db.close();
    }
  } catch (error) {
    return [(error as Error).message];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function writeCopy(pages: PageFiles, path: string): void {
  const file = openSync(path, 'w');
  try {
    for (let number = 1; number <= pages.inUse; number++) {
      const page = pages.page(number);
      // Bytes 18 and 19 say that there is a write-ahead log; the copy has none.
      if (number === 1) page.fill(1, 18, 20);
      writeSync(file, page);
    }
  } finally {
    closeSync(file);
  }
}
