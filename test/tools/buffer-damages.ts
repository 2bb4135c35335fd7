import { randomFillSync } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { assert } from '../../base/assert.ts';
import type { Random } from '../../base/random.ts';

const PAGE_BYTES = 16_384;
const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES;

/** Bytes [from, to) of a file that are not what was written any more. */
export interface Hit {
  file: 'buffer.db' | 'buffer.db-wal';
  from: number;
  to: number;
}

/** A kind of damage to the files of a buffer. */
export interface BufferDamage {
  name: string;
  /** Does it to the files in `dataDir`; says which bytes are hit. */
  apply(dataDir: string, random: Random): Hit[];
  /** Whether the witness, which tells what is missing, suffers too. */
  hitsWitness?: boolean;
}

/** Damage to any database. */
export const DAMAGES_OF_ANY_DATABASE: readonly BufferDamage[] = [
  { name: 'a bit in the magic of the header', apply: flipAt('buffer.db', () => 5) },
  { name: 'a bit in the page size of the header', apply: flipAt('buffer.db', () => 16) },
  { name: 'a bit in the write version of the header', apply: flipAt('buffer.db', () => 18) },
  { name: 'a bit in the free list of the header', apply: flipAt('buffer.db', () => 35) },
  { name: 'zeros over the header page', apply: overwrite(() => 1, 'zeros') },
  { name: 'garbage over the header page', apply: overwrite(() => 1, 'garbage') },
  { name: 'a bit in the name of a table', apply: flipText('TABLE segments', 8) },
  { name: 'a bit in the name of a column', apply: flipText('tenant TEXT', 3) },
  { name: 'a bit in the keyword of the schema', apply: flipText('CREATE TABLE segments', 2) },
  { name: 'garbage over the root of the segments', apply: overwrite(root('segments'), 'garbage') },
  {
    name: 'garbage over the root of an index',
    apply: overwrite(root('segments_by_position'), 'garbage'),
  },
  {
    name: 'garbage over the root of the dictionary',
    apply: overwrite(root('dictionary'), 'garbage'),
  },
  { name: 'garbage over the names of the epochs', apply: overwrite(root('epochs'), 'garbage') },
  { name: 'a bit in the name of an epoch', apply: flipPage(root('epochs'), -5) },
  { name: 'garbage over the last sequences', apply: overwrite(root('heads'), 'garbage') },
  { name: 'garbage over the map of the pages', apply: overwrite(() => 2, 'garbage') },
  { name: 'the file cut to nothing', apply: cutTo('buffer.db', () => 0) },
  { name: 'the file cut to a few bytes', apply: cutTo('buffer.db', () => 50) },
  { name: 'the file cut to its first page', apply: cutTo('buffer.db', () => PAGE_BYTES) },
  {
    name: 'the file cut in the middle of a page',
    apply: cutTo('buffer.db', (bytes) => bytes / 2 + 99),
  },
  {
    name: 'the file cut by its last page',
    apply: cutTo('buffer.db', (bytes) => bytes - PAGE_BYTES),
  },
  { name: 'garbage in place of the file', apply: replaceBy('garbage') },
  { name: 'the file deleted', apply: remove('buffer.db') },
  { name: 'twenty bits anywhere', apply: flipAnywhere(20) },
  { name: 'the witness cut off', apply: spoilWitness, hitsWitness: true },
];

/** Damage to what only a larger database has, or only that of salvage-fixture.ts. */
const DAMAGES_OF_LARGE_DATABASE: readonly BufferDamage[] = [
  { name: 'a bit in a child pointer of the segments', apply: flipPage(root('segments'), 11) },
  { name: 'garbage over a leaf of the segments', apply: overwrite(leaf('segments'), 'garbage') },
  { name: 'zeros over a leaf of the segments', apply: overwrite(leaf('segments'), 'zeros') },
  { name: 'the type of a leaf', apply: flipPage(leaf('segments'), 0, 3) },
  { name: 'the number of cells of a leaf', apply: flipPage(leaf('segments'), 4) },
  { name: 'the pointer to a cell', apply: flipPage(leaf('segments'), 9) },
  { name: 'a bit of a row in a leaf', apply: flipPage(leaf('segments'), -200) },
  { name: 'a bit in a body on an overflow page', apply: flipPage(overflow('segments'), 5000) },
  { name: 'the link between overflow pages', apply: flipPage(firstOverflow('segments'), 3) },
  { name: 'garbage over an overflow page', apply: overwrite(overflow('segments'), 'garbage') },
  { name: 'a bit in an index by position', apply: flipPage(leaf('segments_by_position'), -20) },
  { name: 'a bit in an index by tenant', apply: flipPage(leaf('segments_of_tenant'), -2) },
  {
    name: 'garbage over a leaf of the dictionary',
    apply: overwrite(leaf('dictionary'), 'garbage'),
  },
  { name: 'a bit in an entry of the dictionary', apply: flipText('series_0_33', 9) },
  { name: 'a bit in a long entry of the dictionary', apply: flipPage(overflow('dictionary'), 900) },
  { name: 'a bit in a hash of the chain', apply: flipText('series_1_12', -20) },
  { name: 'garbage over the free list', apply: overwrite(freeTrunk, 'garbage') },
  {
    name: 'the witness cut off and a leaf of the segments',
    hitsWitness: true,
    apply(dataDir, random) {
      spoilWitness(dataDir);
      return overwrite(leaf('segments'), 'garbage')(dataDir, random);
    },
  },
];

/** Damage to a data_dir whose process has ended in good order: everything is in buffer.db. */
export const DAMAGES_OF_DATABASE = [...DAMAGES_OF_ANY_DATABASE, ...DAMAGES_OF_LARGE_DATABASE];

/** Damage to a data_dir whose process was killed: much is in the write-ahead log only. */
export const DAMAGES_OF_LOG: readonly BufferDamage[] = [
  { name: 'a bit in the magic of the log', apply: flipAt('buffer.db-wal', () => 1) },
  { name: 'a bit in the salts of the log', apply: flipAt('buffer.db-wal', () => 18) },
  { name: 'a bit in the checksum of the log’s header', apply: flipAt('buffer.db-wal', () => 27) },
  { name: 'a bit in the page of the first frame', apply: flipFrame(0, 5000) },
  { name: 'a bit in the page of a frame in the middle', apply: flipFrame(0.5, 9000) },
  { name: 'a bit in the page of the last frame', apply: flipFrame(1, 16_000) },
  { name: 'the page number of a frame', apply: flipFrame(0.3, -22) },
  { name: 'the end of a commit in a frame', apply: flipFrame(0.4, -17) },
  { name: 'the salt of a frame', apply: flipFrame(0.6, -14) },
  { name: 'the checksum of a frame', apply: flipFrame(0.7, -3) },
  { name: 'the checksum of the last frame', apply: flipFrame(1, -3) },
  { name: 'the log cut in its header', apply: cutTo('buffer.db-wal', () => 20) },
  { name: 'the log cut between frames', apply: cutTo('buffer.db-wal', (b) => frameAt(b, 0.5)) },
  {
    name: 'the log cut in a frame’s header',
    apply: cutTo('buffer.db-wal', (b) => frameAt(b, 0.7) + 9),
  },
  { name: 'the log cut in a frame', apply: cutTo('buffer.db-wal', (b) => frameAt(b, 0.9) + 7000) },
  { name: 'the log cut in its last frame', apply: cutTo('buffer.db-wal', (bytes) => bytes - 1) },
  { name: 'the log emptied', apply: cutTo('buffer.db-wal', () => 0) },
  { name: 'the log deleted', apply: remove('buffer.db-wal') },
  { name: 'the database deleted beside its log', apply: remove('buffer.db') },
  {
    name: 'a page of the database beside its log',
    apply: overwrite(firstOverflow('segments'), 'garbage'),
  },
];

/** Damage to a data_dir that a running process has open. `older` is a copy of an earlier time. */
export const DAMAGES_WHILE_OPEN: readonly {
  name: string;
  apply(dataDir: string, older: string): void;
}[] = [
  { name: 'the database deleted', apply: (dataDir) => rmSync(join(dataDir, 'buffer.db')) },
  { name: 'the log deleted', apply: (dataDir) => rmSync(join(dataDir, 'buffer.db-wal')) },
  {
    name: 'everything deleted',
    apply: (dataDir) => rmSync(dataDir, { recursive: true }),
  },
  {
    name: 'the database replaced by an older copy',
    apply(dataDir, older) {
      copyFileSync(join(older, 'buffer.db'), join(dataDir, 'copy'));
      renameSync(join(dataDir, 'copy'), join(dataDir, 'buffer.db'));
    },
  },
  {
    name: 'the database replaced by garbage',
    apply(dataDir) {
      writeFileSync(join(dataDir, 'copy'), randomFillSync(Buffer.alloc(50_000)));
      renameSync(join(dataDir, 'copy'), join(dataDir, 'buffer.db'));
    },
  },
  {
    name: 'an older copy written over the database',
    apply: (dataDir, older) => copyFileSync(join(older, 'buffer.db'), join(dataDir, 'buffer.db')),
  },
  {
    name: 'garbage written over the database',
    apply(dataDir) {
      const path = join(dataDir, 'buffer.db');
      writeFileSync(path, randomFillSync(Buffer.alloc(statSync(path).size)));
    },
  },
  {
    name: 'the database cut to nothing',
    apply: (dataDir) => truncateSync(join(dataDir, 'buffer.db')),
  },
  {
    name: 'the log cut to nothing',
    apply: (dataDir) => truncateSync(join(dataDir, 'buffer.db-wal')),
  },
  {
    name: 'the database moved elsewhere',
    apply: (dataDir) => renameSync(join(dataDir, 'buffer.db'), join(dataDir, 'elsewhere.db')),
  },
];

type Apply = BufferDamage['apply'];

/** Flips a bit; `at` may count from the end of the file. */
function flipAt(file: Hit['file'], at: (bytes: number) => number, bit = 0): Apply {
  return (dataDir) => {
    const path = join(dataDir, file);
    const bytes = readFileSync(path);
    const place = Math.floor(at(bytes.length));
    bytes[place]! ^= 1 << bit;
    writeFileSync(path, bytes);
    return [{ file, from: place, to: place + 1 }];
  };
}

/** Flips a bit of a page; a negative place counts from its end. */
function flipPage(page: (dataDir: string) => number, at: number, bit = 0): Apply {
  return (dataDir, random) => {
    const from = (page(dataDir) - 1) * PAGE_BYTES + (at < 0 ? PAGE_BYTES + at : at);
    return flipAt('buffer.db', () => from, bit)(dataDir, random);
  };
}

/** Flips a bit in the last occurrence of a text, or so many bytes before it. */
function flipText(text: string, at: number): Apply {
  return (dataDir, random) => {
    const place = readFileSync(join(dataDir, 'buffer.db')).lastIndexOf(text);
    assert(place >= 0, `${text} is not in buffer.db`);
    return flipAt('buffer.db', () => place + at)(dataDir, random);
  };
}

/** Flips a bit behind the header of the frame at a share of the log; before it with `at` < 0. */
function flipFrame(share: number, at: number): Apply {
  return flipAt('buffer.db-wal', (bytes) => frameAt(bytes, share) + FRAME_HEADER_BYTES + at);
}

function frameAt(walBytes: number, share: number): number {
  const frames = Math.floor((walBytes - WAL_HEADER_BYTES) / FRAME_BYTES);
  return WAL_HEADER_BYTES + Math.min(frames - 1, Math.floor(frames * share)) * FRAME_BYTES;
}

function flipAnywhere(count: number): Apply {
  return (dataDir, random) =>
    Array.from({ length: count }, () => {
      const bit = Math.floor(random.float() * 8);
      return flipAt('buffer.db', (bytes) => random.float() * bytes, bit)(dataDir, random);
    }).flat();
}

function overwrite(page: (dataDir: string) => number, by: 'garbage' | 'zeros'): Apply {
  return (dataDir, random) => {
    const path = join(dataDir, 'buffer.db');
    const bytes = readFileSync(path);
    const from = (page(dataDir) - 1) * PAGE_BYTES;
    for (let at = from; at < from + PAGE_BYTES; at += 8) {
      bytes.writeBigUInt64LE(by === 'zeros' ? 0n : random.id64(), at);
    }
    writeFileSync(path, bytes);
    return [{ file: 'buffer.db', from, to: from + PAGE_BYTES }];
  };
}

function cutTo(file: Hit['file'], length: (bytes: number) => number): Apply {
  return (dataDir) => {
    const path = join(dataDir, file);
    const { size } = statSync(path);
    const from = Math.floor(length(size));
    truncateSync(path, from);
    return [{ file, from, to: size }];
  };
}

function replaceBy(_: 'garbage'): Apply {
  return (dataDir) => {
    const path = join(dataDir, 'buffer.db');
    const { size } = statSync(path);
    writeFileSync(path, randomFillSync(Buffer.alloc(size)));
    return [{ file: 'buffer.db', from: 0, to: size }];
  };
}

function remove(file: Hit['file']): Apply {
  return (dataDir) => {
    const path = join(dataDir, file);
    const { size } = statSync(path);
    rmSync(path);
    return [{ file, from: 0, to: size }];
  };
}

function spoilWitness(dataDir: string): Hit[] {
  truncateSync(join(dataDir, 'high-water.json'), 30);
  return [];
}

function root(table: string) {
  return (dataDir: string) => pageOf(dataDir, `name = '${table}' AND path = '/'`);
}

/** One in the middle of the tree. */
function leaf(table: string) {
  return (dataDir: string) => pageOf(dataDir, `name = '${table}' AND pagetype = 'leaf'`);
}

function overflow(table: string) {
  return (dataDir: string) => pageOf(dataDir, `name = '${table}' AND pagetype = 'overflow'`);
}

/** The first of several pages of one row. */
function firstOverflow(table: string) {
  return (dataDir: string) => pageOf(dataDir, `name = '${table}' AND path LIKE '%+000000'`);
}

function freeTrunk(dataDir: string): number {
  return readFileSync(join(dataDir, 'buffer.db')).readUInt32BE(32);
}

/** A page of the database that SQLite says is used like that: from the middle of the list. */
function pageOf(dataDir: string, condition: string): number {
  const pagesInFile = statSync(join(dataDir, 'buffer.db')).size / PAGE_BYTES;
  const folder = mkdtempSync(join(tmpdir(), 'starferry-pages-'));
  try {
    for (const name of ['buffer.db', 'buffer.db-wal']) {
      if (existsSync(join(dataDir, name))) copyFileSync(join(dataDir, name), join(folder, name));
    }
    const db = new Database(join(folder, 'buffer.db'));
    const pages = db
      .prepare(`SELECT pageno FROM dbstat WHERE ${condition} AND pageno <= ? ORDER BY path`)
      .pluck()
      .all(pagesInFile) as number[];
    db.close();
    const page = pages[Math.floor(pages.length / 2)];
    assert(page !== undefined, `no page where ${condition}`);
    return page;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
