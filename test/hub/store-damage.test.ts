import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Random } from '../../base/random.ts';
import { HubStore } from '../../hub/store/hub-store.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import { fill, inventions, isComplete, type Knowledge, knowledgeOf } from './store-fixture.ts';
import { InstantClock } from './write-fixture.ts';

/** Where the header has the number of the version, which a person has to look at. */
const USER_VERSION_AT = 60;

let workspace: Workspace;
let stores: HubStore[];
let folders: number;

beforeEach(() => {
  workspace = new Workspace('store-damage');
  stores = [];
  folders = 0;
});
afterEach(async () => {
  for (const store of stores) store.close();
  await workspace.close();
});

const nextFolder = () => workspace.subfolder(`data-${folders++}`);

function open(dataDir: string, lines: string[] = []): HubStore {
  const clock = new InstantClock();
  const log = {
    warn: (_key: string, _fields: object, message: string) => void lines.push(message),
    error: (_key: string, _fields: object, message: string) => void lines.push(message),
  };
  const store = new HubStore(dataDir, seededRandom('store'), { clock, log });
  stores.push(store);
  return store;
}

function close(store: HubStore): void {
  stores.splice(stores.indexOf(store), 1);
  store.close();
}

/** A hub's files with something in all of them, and what they say. */
function write({ checkpointed }: { checkpointed: boolean }): { dataDir: string; truth: Knowledge } {
  const source = nextFolder();
  const store = open(source);
  fill(store);
  const truth = knowledgeOf(store);
  if (checkpointed) close(store);
  const dataDir = nextFolder();
  for (const name of ['hub.db', 'hub.db-wal']) {
    if (existsSync(join(source, name))) copyFileSync(join(source, name), join(dataDir, name));
  }
  return { dataDir, truth };
}

/** One bit, or up to 64 bytes, of a file are not what they were; says where. */
function damage(bytes: Buffer, random: Random): { bad: Buffer; at: number; to: number } {
  const bad = Buffer.from(bytes);
  const at = Math.floor(random.float() * bad.length);
  if (random.float() < 0.7) {
    bad[at]! ^= 1 << Math.floor(random.float() * 8);
    return { bad, at, to: at + 1 };
  }
  const to = Math.min(bad.length, at + 1 + Math.floor(random.float() * 64));
  for (let byte = at; byte < to; byte++) bad[byte] = Math.floor(random.float() * 256);
  return { bad, at, to };
}

/** Opens what is in a folder, and says what it makes of it. */
function judge(dataDir: string, truth: Knowledge) {
  const store = open(dataDir);
  const found = knowledgeOf(store);
  const { damagedFiles, damagedRows } = store.state;
  store.addEntries('later', 1n, 0, [Buffer.from('entry')]);
  store.setPositions('later', '', [{ run: 1n, first: 1, last: 2 }]);
  close(store);
  const next = open(dataDir);
  const goesOn = [...next.entries('later')].length === 1 && next.positions('later').length === 1;
  close(next);
  return {
    inventions: inventions(found, truth),
    isComplete: isComplete(found, truth),
    found,
    isReported: damagedFiles + damagedRows > 0,
    goesOn,
  };
}

describe('a flipped bit, or some bytes of garbage, anywhere', () => {
  test('in hub.db: nothing is believed that was not written, and what is missing is reported', () => {
    const { dataDir, truth } = write({ checkpointed: true });
    const good = readFileSync(join(dataDir, 'hub.db'));
    const random = seededRandom('places in hub.db');
    let reported = 0;
    for (let n = 0; n < 90; n++) {
      const { bad, at, to } = damage(good, random);
      if (at < USER_VERSION_AT + 4 && to > USER_VERSION_AT) continue;
      const folder = nextFolder();
      writeFileSync(join(folder, 'hub.db'), bad);
      const seen = judge(folder, truth);
      expect(seen, `bytes ${at} to ${to}`).toMatchObject({ inventions: [], goesOn: true });
      expect(seen.isComplete || seen.isReported, `bytes ${at} to ${to}`).toBe(true);
      if (seen.isReported) reported++;
    }
    expect(reported).toBeGreaterThan(25);
  });

  test('in the write-ahead log: the same, but for the last commit, as after a power cut', () => {
    const { dataDir, truth } = write({ checkpointed: false });
    const good = readFileSync(join(dataDir, 'hub.db-wal'));
    const random = seededRandom('places in the log');
    let reported = 0;
    for (let n = 0; n < 40; n++) {
      const { bad, at, to } = damage(good, random);
      const folder = nextFolder();
      copyFileSync(join(dataDir, 'hub.db'), join(folder, 'hub.db'));
      writeFileSync(join(folder, 'hub.db-wal'), bad);
      const seen = judge(folder, truth);
      expect(seen, `bytes ${at} to ${to}`).toMatchObject({ inventions: [], goesOn: true });
      const isLastCommitOnly =
        seen.found.positions.length === truth.positions.length &&
        seen.found.runs.length === truth.runs.length;
      expect(seen.isReported || isLastCommitOnly, `bytes ${at} to ${to}`).toBe(true);
      if (seen.isReported) reported++;
    }
    expect(reported).toBeGreaterThan(25);
  });

  test('in one column of one row, its key included: that row alone is set aside', () => {
    const changes = [
      "UPDATE positions SET last = last + 64 WHERE agent = 'sg' AND tenant = '' AND first = 11",
      "UPDATE positions SET agent = 'sf' WHERE agent = 'sg' AND tenant = '' AND first = 11",
      "UPDATE positions SET tenant = 'secone' WHERE agent = 'sg' AND tenant = '' AND first = 11",
      "UPDATE positions SET run = 'f' || substr(run, 2) WHERE agent = 'sg' AND first = 11 AND tenant = ''",
      "UPDATE runs SET is_current = 0 WHERE agent = 'sg' AND is_current = 1",
      "UPDATE runs SET agent = CAST(x'f367' AS TEXT) WHERE agent = 'sg' AND is_current = 1",
      "UPDATE tenant_ages SET newest = newest * 2 WHERE tenant = 'overseas'",
      "UPDATE agents SET clock_offset = 1 WHERE agent = 'sg'",
      "UPDATE lags SET since = since + 1 WHERE agent = 'sg'",
      "UPDATE entries SET agent = 'sh' WHERE agent = 'sg' AND id = 39 AND epoch LIKE 'f%'",
      "UPDATE entries SET agent = CAST(x'f367' AS TEXT) WHERE agent = 'sg' AND id = 39 AND epoch LIKE 'f%'",
      "UPDATE entries SET entry = x'00' WHERE agent = 'sg' AND id = 39 AND epoch LIKE 'f%'",
    ];
    const { dataDir, truth } = write({ checkpointed: true });
    for (const change of changes) {
      const folder = nextFolder();
      copyFileSync(join(dataDir, 'hub.db'), join(folder, 'hub.db'));
      const db = new Database(join(folder, 'hub.db'));
      expect(db.prepare(change).run().changes, change).toBe(1);
      db.close();
      const store = open(folder);
      const found = knowledgeOf(store);
      expect(inventions(found, truth), change).toEqual([]);
      expect(isComplete(found, truth), change).toBe(false);
      expect(store.state, change).toMatchObject({ damagedFiles: 0, damagedRows: 1 });
      close(store);
      // Once is enough: what was set aside is not found again.
      const next = open(folder);
      knowledgeOf(next);
      expect(next.state.damagedRows, change).toBe(0);
      close(next);
    }
  });

  test('in the id of the hub: it is another hub to its agents, and keeps what it knows', () => {
    const { dataDir, truth } = write({ checkpointed: true });
    const before = open(dataDir);
    const { hub } = before;
    close(before);
    const db = new Database(join(dataDir, 'hub.db'));
    db.exec("UPDATE hub SET id = '1' || substr(id, 2)");
    db.close();
    const random = seededRandom('another');
    const store = new HubStore(dataDir, random);
    stores.push(store);
    expect(store.hub).not.toBe(hub);
    expect(store.hub).toBe(seededRandom('another').id64());
    expect(isComplete(knowledgeOf(store), truth)).toBe(true);
    expect(store.state.damagedRows).toBe(1);
  });
});

describe('a hub.db that cannot be used', () => {
  test.each([
    ['with garbage over its header', (good: Buffer) => Buffer.from(good).fill(0x5a, 0, 100)],
    ['with a bit in the write version', (good: Buffer) => Buffer.from(good).fill(3, 18, 19)],
    ['with garbage over a page', (good: Buffer) => Buffer.from(good).fill(0x5a, 4096, 8192)],
    ['cut in the middle', (good: Buffer) => good.subarray(0, good.length / 2)],
    ['cut to nothing', () => Buffer.alloc(0)],
    [
      'with a table of another name',
      (good: Buffer) => swapped(good, 'TABLE positions', 'TABLE qositions'),
    ],
    [
      'with a column of another type',
      (good: Buffer) => swapped(good, 'first INTEGER', 'first INTEGEQ'),
    ],
  ])('%s is kept for inspection, and the hub begins with an empty one', (_, spoil) => {
    const { dataDir } = write({ checkpointed: true });
    const bad = spoil(readFileSync(join(dataDir, 'hub.db')));
    writeFileSync(join(dataDir, 'hub.db'), bad);
    const lines: string[] = [];
    const store = open(dataDir, lines);
    expect(knowledgeOf(store).positions).toEqual([]);
    const { damagedFiles, lastDamage } = store.state;
    expect(damagedFiles).toBe(1);
    expect(readFileSync(lastDamage!.keptIn!).equals(bad)).toBe(true);
    expect(lines).toEqual([expect.stringMatching(/^hub.db was damaged and is set aside/)]);
  });

  test('again and again leaves three copies, the latest', () => {
    const dataDir = nextFolder();
    mkdirSync(dataDir, { recursive: true });
    for (let n = 0; n < 12; n++) {
      writeFileSync(join(dataDir, 'hub.db'), Buffer.alloc(5000, `rubbish ${n}`));
      close(open(dataDir));
    }
    const kept = readdirSync(dataDir).filter((name) => name.includes('damaged'));
    const content = kept.map((name) => readFileSync(join(dataDir, name)).toString().slice(0, 10));
    expect(content.sort()).toEqual(['rubbish 10', 'rubbish 11', 'rubbish 9r']);
  });
});

function swapped(bytes: Buffer, from: string, to: string): Buffer {
  const swappedBytes = Buffer.from(bytes);
  const at = swappedBytes.indexOf(from);
  if (at < 0) throw new Error(`there is no ${from}`);
  swappedBytes.write(to, at);
  return swappedBytes;
}
