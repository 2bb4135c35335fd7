import { existsSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Chance } from './chance.ts';
import { flipBitsIn } from './data-folder.ts';

/** Columns of hub.db that decide about data, by table. */
const COLUMNS = {
  hub: ['id'],
  entries: ['epoch', 'id', 'entry'],
  positions: ['tenant', 'run', 'first', 'last'],
  runs: ['run', 'is_current'],
  tenant_ages: ['newest', 'is_bounded'],
} as const;
type Table = keyof typeof COLUMNS;
type Value = number | string | Buffer;

const BIT_MAX = 20;

/** Flips bits in the database of a hub that does not run: in rows, or anywhere in its files. */
export function damageHub(folder: string, chance: Chance): string {
  if (chance.maybe(0.6)) {
    const where = flipRow(join(folder, 'hub.db'), chance);
    if (where !== undefined) return where;
  }
  const names = ['hub.db', 'hub.db-wal', 'refused.db', 'refused.db-wal'];
  const paths = names.map((name) => join(folder, name)).filter(existsSync);
  return paths.length === 0 ? 'nothing' : flipBitsIn(paths, chance);
}

/** Flips one bit of one value; says of which, or undefined when there is none. */
function flipRow(path: string, chance: Chance): string | undefined {
  if (!existsSync(path)) return undefined;
  const db = new Database(path);
  try {
    const table = chance.pick(Object.keys(COLUMNS) as Table[]);
    const column = chance.pick<string>(COLUMNS[table]);
    const rows = db.prepare(`SELECT * FROM ${table}`).all() as Record<string, Value>[];
    if (rows.length === 0) return undefined;
    const row = chance.pick(rows);
    const key = Object.keys(row);
    const where = key.map((name) => `${name} IS ?`).join(' AND ');
    db.prepare(`UPDATE OR IGNORE ${table} SET ${column} = ? WHERE ${where}`).run(
      flipped(row[column]!, chance),
      ...key.map((name) => row[name]),
    );
    return `${column} of ${table}`;
  } catch {
    // Damaged so far already that SQLite finds no table, or nothing at all.
    return undefined;
  } finally {
    db.close();
  }
}

function flipped(value: Value, chance: Chance): Value {
  // Beyond 32 bits a bitwise operation would cut the number off.
  if (typeof value === 'number') {
    const bit = 2 ** chance.whole(0, BIT_MAX);
    return Math.floor(value / bit) % 2 === 0 ? value + bit : value - bit;
  }
  const bytes = Buffer.from(value);
  if (bytes.length === 0) return value;
  // A text stays ASCII: the lower bits only.
  const bits = typeof value === 'string' ? 3 : 7;
  bytes[chance.whole(0, bytes.length - 1)]! ^= 1 << chance.whole(0, bits);
  return typeof value === 'string' ? bytes.toString() : bytes;
}
