import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import Database from 'better-sqlite3';
import type { Chance } from './chance.ts';

const MEMORY_DISK = '/dev/shm';

/** A folder for one simulation, in memory where the machine has such a disk. */
export function makeSimulationFolder(): string {
  return mkdtempSync(join(existsSync(MEMORY_DISK) ? MEMORY_DISK : tmpdir(), 'starferry-sim-'));
}

/**
 * Copies what is on the disk at this moment, as a power cut would leave it: database, write-ahead
 * log and whatever lies beside them, without the index that processes share in memory.
 */
export function copyAsAfterPowerCut(from: string, to: string): void {
  cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith('-shm') });
}

/** Cuts the agent's write-ahead log off: what a power cut in the middle of a commit leaves. */
export function cutWal(folder: string, bytes: number): void {
  truncateSync(walPath(folder), bytes);
}

export function walPath(folder: string): string {
  return join(folder, 'buffer.db-wal');
}

/** Flips some bits anywhere in the files of a buffer that nobody has open; says where. */
export function flipBits(folder: string, chance: Chance): string {
  const places: string[] = [];
  for (let count = chance.whole(1, 3); count > 0; count--) {
    const path = chance.pick([join(folder, 'buffer.db'), walPath(folder)].filter(existsSync));
    const bytes = readFileSync(path);
    if (bytes.length === 0) continue;
    const at = chance.whole(0, bytes.length - 1);
    bytes[at]! ^= 1 << chance.whole(0, 7);
    writeFileSync(path, bytes);
    places.push(`${basename(path)} ${at}`);
  }
  return places.join(', ');
}

/** Damages one stored segment of an agent that does not run; says which part, if there was one. */
export function damageSegment(folder: string, chance: Chance): string | undefined {
  const db = new Database(join(folder, 'buffer.db'));
  try {
    const rows = db.prepare('SELECT id, body FROM segments').all() as {
      id: number;
      body: Buffer;
    }[];
    if (rows.length === 0) return undefined;
    const { id, body } = chance.pick(rows);
    const column = chance.pick(['body', 'body', 'body', 'samples', 'sequence']);
    if (column === 'body') {
      const at = chance.whole(0, body.length - 1);
      body[at] = body[at]! ^ (1 << chance.whole(0, 7));
      db.prepare('UPDATE segments SET body = ? WHERE id = ?').run(body, id);
    } else {
      db.prepare(`UPDATE segments SET ${column} = ${column} + 65536 WHERE id = ?`).run(id);
    }
    return column;
  } catch {
    // Damaged so far already that SQLite finds no table, or nothing at all.
    return undefined;
  } finally {
    db.close();
  }
}
