import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
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

/** Cuts the agent's write-ahead log off: what a power cut in the middle of a commit leaves. */
export function cutWal(folder: string, bytes: number): void {
  truncateSync(walPath(folder), bytes);
}

export function walPath(folder: string): string {
  return join(folder, 'buffer.db-wal');
}

export function readWitness(folder: string): Buffer | undefined {
  const path = join(folder, 'high-water.json');
  return existsSync(path) ? readFileSync(path) : undefined;
}

export function writeWitness(folder: string, witness: Buffer): void {
  writeFileSync(join(folder, 'high-water.json'), witness);
}

/** The witness is never synced: a power cut may leave none of it, or a part. */
export function loseWitness(folder: string, chance: Chance): void {
  const path = join(folder, 'high-water.json');
  if (!existsSync(path) || chance.maybe(0.8)) return;
  if (chance.maybe(0.5)) rmSync(path);
  else truncateSync(path, chance.whole(0, statSync(path).size));
}

/** Flips some bits anywhere in the files of a buffer that nobody has open; says where. */
export function flipBits(folder: string, chance: Chance): string {
  return flipBitsIn([join(folder, 'buffer.db'), walPath(folder)].filter(existsSync), chance);
}

/** Flips some bits anywhere in these files; says where. */
export function flipBitsIn(paths: readonly string[], chance: Chance): string {
  const places: string[] = [];
  // An agent that was killed while its files were taken has left none.
  if (paths.length === 0) return 'nothing';
  for (let count = chance.whole(1, 3); count > 0; count--) {
    const path = chance.pick(paths);
    const bytes = readFileSync(path);
    if (bytes.length === 0) continue;
    // The header of a file is small, and decides most.
    const end = chance.maybe(0.2) ? Math.min(100, bytes.length) : bytes.length;
    const at = chance.whole(0, end - 1);
    // A higher version of the schema is that of a newer program, and the start refused.
    if (path.endsWith('.db') && at >= 60 && at < 64) continue;
    bytes[at]! ^= 1 << chance.whole(0, 7);
    writeFileSync(path, bytes);
    places.push(`${basename(path)} ${at}`);
  }
  return places.join(', ');
}

/** What may be damaged of a row beside its body, and how. */
const DAMAGES = {
  segments: { samples: 'samples + 65536', sequence: 'sequence + 65536' },
  packs: {
    samples: 'samples + 65536',
    epoch: 'epoch + 65536',
    positions: "replace(positions, ':', ';')",
  },
} as const;
type Table = keyof typeof DAMAGES;

/**
 * Damages one stored segment or pack of an agent that does not run; says which part of which, if
 * there was one.
 */
export function damageStored(folder: string, chance: Chance): string | undefined {
  const db = new Database(join(folder, 'buffer.db'));
  try {
    const rows = (['segments', 'packs'] as const).flatMap((table) => {
      const ids = db.prepare(`SELECT id FROM ${table}`).pluck().all() as number[];
      return ids.map((id) => ({ table, id }));
    });
    if (rows.length === 0) return undefined;
    const { table, id } = chance.pick(rows);
    return `${damageRow(db, table, id, chance)} of ${table}`;
  } catch {
    // Damaged so far already that SQLite finds no table, or nothing at all.
    return undefined;
  } finally {
    db.close();
  }
}

function damageRow(db: Database.Database, table: Table, id: number, chance: Chance): string {
  if (chance.maybe(0.4)) {
    const [column, value] = chance.pick(Object.entries<string>(DAMAGES[table]));
    db.prepare(`UPDATE ${table} SET ${column} = ${value} WHERE id = ?`).run(id);
    return column;
  }
  const body = db.prepare(`SELECT body FROM ${table} WHERE id = ?`).pluck().get(id) as Buffer;
  const at = chance.whole(0, body.length - 1);
  body[at] = body[at]! ^ (1 << chance.whole(0, 7));
  db.prepare(`UPDATE ${table} SET body = ? WHERE id = ?`).run(body, id);
  return 'body';
}
