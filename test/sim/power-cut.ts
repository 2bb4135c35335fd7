import { cpSync, existsSync, mkdirSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Chance } from './chance.ts';

/** `PRAGMA synchronous` from which on each commit is synced before it returns. */
const FULL = 2;

/** Open connections by the path of their database; better-sqlite3 keeps no list of them. */
const connections = new Map<string, Database.Database>();
const { pragma } = Database.prototype;
Database.prototype.pragma = function (source, options) {
  connections.set(this.name, this);
  return pragma.call(this, source, options);
};

/** The open connection to a database of a simulated process. */
export function connectionTo(path: string): Database.Database | undefined {
  const connection = connections.get(path);
  return connection?.open === true ? connection : undefined;
}

/** To be called when all processes of a simulation have ended. */
export function forgetConnections(folder: string): void {
  for (const path of connections.keys()) if (path.startsWith(folder)) connections.delete(path);
}

/** Copies a data_dir with all that was written, without the index that processes share in memory. */
export function copyFolder(from: string, to: string): void {
  if (!existsSync(from)) {
    mkdirSync(to, { recursive: true });
    return;
  }
  cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith('-shm') });
}

/**
 * Copies what a power cut at this moment leaves of a data_dir: what was synced.
 *
 * Nobody can ask a memory disk what was synced, and better-sqlite3 lets nobody into its file
 * system. The open connection is asked instead: at FULL, SQLite has synced each commit that
 * returned; below FULL the log holds commits that were not synced, and a part of it is lost. This
 * proves that the promises hold by what SQLite documents of FULL, and that they do not without it.
 * It proves nothing about SQLite, the file system and the disk.
 */
export function copyAsAfterPowerCut(from: string, to: string, chance: Chance): void {
  copyFolder(from, to);
  for (const name of readdirSync(to).filter((file) => file.endsWith('.db'))) {
    const log = join(to, `${name}-wal`);
    const connection = connectionTo(join(from, name));
    if (connection === undefined || !existsSync(log)) continue;
    const level = pragma.call(connection, 'synchronous', { simple: true }) as number;
    if (level < FULL) truncateSync(log, chance.whole(0, statSync(log).size));
  }
}
