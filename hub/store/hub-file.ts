import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import Database from 'better-sqlite3';
import { makeDurable } from '../../base/sqlite/durable.ts';
import { hasUnknownWriteVersion } from '../../base/sqlite/file-format.ts';
import { readAt } from '../../base/sqlite/read-at.ts';
import { readWalFile } from '../../base/sqlite/wal-file.ts';
import { prepareSchema, VERSION } from './hub-schema.ts';
import { setFilesAside } from './set-aside-files.ts';
import { DamagedStoreError, isDamage } from './store-fault.ts';
import { refuseNewer } from './store-version.ts';

/** Files that were set aside. */
export interface FileDamage {
  /** What is wrong with them. */
  problem: string;
  /** Where they are kept; undefined when nothing was left of them. */
  keptIn: string | undefined;
}

const HEADER_BYTES = 100;
const PAGE_BYTES_DEFAULT = 4096;
/** Nobody else is to use it; somebody who does must not stop all that the hub does. */
const BUSY_MS = 200;

/**
 * Opens the hub's database, in whatever state its files are: what is damaged is set aside, and a
 * new one begun.
 *
 * @throws NewerStoreError; errors of SQLite and of the file system when the disk does not do it
 */
export function openHubFile(
  path: string,
  nowMs: number,
): { db: Database.Database; damage: FileDamage | undefined } {
  const found = tryToOpen(path);
  if (typeof found !== 'string') return { db: found, damage: undefined };
  return beginAnew(path, found, nowMs);
}

/** Sets aside what is there, whatever it is, and begins a new database. */
export function beginAnew(
  path: string,
  problem: string,
  nowMs: number,
): { db: Database.Database; damage: FileDamage } {
  const keptIn = setFilesAside(path, nowMs);
  return { db: open(path), damage: { problem, keptIn } };
}

/** The database, or what is damaged. */
function tryToOpen(path: string): Database.Database | string {
  // Before SQLite sees the log: it would pass over what is behind the damage and write over it.
  const problem = problemOfFiles(path);
  if (problem !== undefined) return problem;
  try {
    return open(path);
  } catch (error) {
    if (isDamage(error)) return (error as Error).message;
    throw error;
  }
}

function open(path: string): Database.Database {
  const db = new Database(path, { timeout: BUSY_MS });
  try {
    refuseNewer(db, VERSION, 'which loses nothing: agents send again what the hub needs');
    makeDurable(db);
    const found = db.pragma('quick_check(1)', { simple: true }) as string;
    if (found !== 'ok') throw new DamagedStoreError(found);
    prepareSchema(db);
    return db;
  } catch (error) {
    // Left to the garbage collector it would delete the log of whatever is in its place by then.
    db.close();
    throw error;
  }
}

/**
 * What SQLite would not mind: it takes an empty file for a new one, half a log for the end, and a
 * file that a later version has written for read-only.
 */
function problemOfFiles(path: string): string | undefined {
  const log = `${path}-wal`;
  const bytes = statSync(path, { throwIfNoEntry: false })?.size;
  if (bytes === 0) return `${path} is empty`;
  if (bytes === undefined) return existsSync(log) ? `${path} is gone beside its log` : undefined;
  const header = headerOf(path);
  if (hasUnknownWriteVersion(header)) return `${path} has an unknown write version`;
  const logBytes = statSync(log, { throwIfNoEntry: false })?.size ?? 0;
  if (logBytes === 0) return undefined;
  const file = openSync(log, 'r');
  try {
    const { condition } = readWalFile(file, logBytes, pageBytesOf(header));
    // A last commit that is not whole is what a power cut leaves.
    return condition === 'damaged' ? `frames of ${log} are damaged` : undefined;
  } finally {
    closeSync(file);
  }
}

function headerOf(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    return readAt(file, 0, HEADER_BYTES);
  } finally {
    closeSync(file);
  }
}

/** As the header says, which SQLite judges. */
function pageBytesOf(header: Buffer): number {
  const bytes = header.readUInt16BE(16);
  const isPowerOfTwo = bytes >= 512 && (bytes & (bytes - 1)) === 0;
  return isPowerOfTwo ? bytes : PAGE_BYTES_DEFAULT;
}
