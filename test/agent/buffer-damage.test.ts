import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { emptyLosses } from '../../agent/buffer/losses.ts';
import { SegmentTable } from '../../agent/buffer/segment-table.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  openBuffer,
  openDatabase,
  powerCut,
  rowsOf,
  samplesOf,
  seriesEntries,
  T0,
} from './buffer-fixture.ts';

let workspace: Workspace;
let dataDir: string;

beforeEach(() => {
  workspace = new Workspace('damage');
  dataDir = workspace.subfolder('data');
});
afterEach(() => workspace.close());

function flipBit(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1;
  writeFileSync(path, bytes);
}

describe('a segment that is not what was written', () => {
  const body = 'UPDATE segments SET body = substr(body, 1, 20) || x"ff" || substr(body, 22)';
  const damages: [string, string][] = [
    ['body', body.replaceAll('"', "'")],
    ['body and time range', `${body.replaceAll('"', "'")}, oldest = 7, newest = 9e15`],
    ['tenant', "UPDATE segments SET tenant = 'other'"],
    ['epoch', 'UPDATE segments SET epoch = epoch + 1'],
    ['run', "UPDATE segments SET run = 'ffffffffffffffff'"],
    ['sequence', 'UPDATE segments SET sequence = 77'],
    ['number of samples', 'UPDATE segments SET samples = 4'],
  ];

  test.each(damages)('in its %s is set aside and accounted for, and the rest goes on', (_, sql) => {
    const { buffer: before } = openBuffer(dataDir, 'one');
    for (const at of [T0, T0 + 10, T0 + 20]) {
      before.append([{ tenant: '', columns: samplesOf(0, at, at + 1, at + 2) }]);
    }
    before.close();
    const database = openDatabase(dataDir);
    database.exec(`${sql} WHERE id = 2`);

    const { buffer, lines } = openBuffer(dataDir, 'two');
    const tenants = [...buffer.backlog.keys()];
    const read = tenants.flatMap((tenant) => buffer.read(tenant, 1000));
    expect(rowsOf(read).map(([, timestamp]) => timestamp! - T0)).toEqual([0, 1, 2, 20, 21, 22]);
    expect(buffer.losses.samples).toEqual({ ...emptyLosses().samples, damaged: 3 });
    const iso = (ms: number): string => new Date(ms).toISOString();
    // The times of a damaged row are as likely as it is whole; those of the witness are certain.
    const isLikely = !/samples = 4|oldest/.test(sql);
    const likely = { likelyOldest: iso(T0 + 10), likelyNewest: iso(T0 + 12) };
    expect(lines).toContainEqual(
      expect.objectContaining({
        reason: 'damaged',
        tenant: '',
        oldest: iso(T0),
        newest: iso(T0 + 22),
        ...(isLikely ? likely : {}),
      }),
    );
    if (!isLikely) expect(lines[0]).not.toHaveProperty('likelyOldest');
    const kept = database.prepare('SELECT count(*) AS rows FROM damaged_segments').get();
    expect(kept).toEqual({ rows: 1 });
    database.close();
    buffer.close();
  });

  test('while the buffer is open is set aside when it is read', () => {
    const { buffer, lines } = openBuffer(dataDir, 'one');
    for (const at of [T0, T0 + 10, T0 + 20]) {
      buffer.append([{ tenant: '', columns: samplesOf(0, at, at + 1) }]);
    }
    const { stored } = SegmentTable.prototype;
    SegmentTable.prototype.stored = function* (...range) {
      for (const segment of stored.call(this, ...range)) {
        yield segment.id === 2 ? { ...segment, newest: 9e15, isIntact: false } : segment;
      }
    };
    try {
      expect(buffer.read('', 1000).map(({ sequence }) => sequence)).toEqual([1, 3]);
    } finally {
      SegmentTable.prototype.stored = stored;
    }
    expect(buffer.losses.samples.damaged).toBe(2);
    expect(lines).toContainEqual(
      expect.objectContaining({ samples: 2, newest: new Date(T0 + 21).toISOString() }),
    );
    buffer.close();
    expect(openBuffer(dataDir, 'two').lines).toEqual([]);
  });

  test('does not make the segments behind it look like those of its epoch', () => {
    const { buffer: before } = openBuffer(dataDir, 'one');
    const [old, current] = [seriesEntries('old'), seriesEntries('new')];
    const add = (entries: Uint8Array[]) =>
      before.append([
        { tenant: '', columns: samplesOf(0, T0), newEntries: { firstId: 0, entries } },
      ]);
    add(old);
    before.openEpoch();
    add(current);
    before.close();
    const database = openDatabase(dataDir);
    database.exec("UPDATE segments SET body = x'00' WHERE id = 1");
    database.close();

    const { buffer } = openBuffer(dataDir, 'two');
    const [segment] = buffer.read('', 1000);
    const log = buffer.dictionaryOfEpoch(segment!.epoch);
    expect([...log.entries()].map((entry) => new Uint8Array(entry))).toEqual(current);
    buffer.close();
  });
});

describe('the write-ahead log', () => {
  /** Five commits that the witness knows of, and `more` that it does not. */
  function appendFive(more = 0): { copy: string; wal: string; walOfThree: Uint8Array } {
    const { buffer } = openBuffer(dataDir, 'one');
    const append = (sequence: number): void => {
      const newEntries = { firstId: sequence - 1, entries: seriesEntries(`series_${sequence}`) };
      buffer.append([{ tenant: 'a', columns: samplesOf(0, T0 + sequence), newEntries }]);
    };
    for (const sequence of [1, 2, 3]) append(sequence);
    const walOfThree = readFileSync(join(dataDir, 'buffer.db-wal'));
    for (const sequence of [4, 5]) append(sequence);
    const witness = readFileSync(join(dataDir, 'high-water.json'));
    for (let count = 1; count <= more; count++) append(5 + count);
    const copy = powerCut(dataDir);
    buffer.close();
    writeFileSync(join(copy, 'high-water.json'), witness);
    return { copy, wal: join(copy, 'buffer.db-wal'), walOfThree };
  }

  test('commits that vanish with a damaged write-ahead log are noticed by the witness', () => {
    const { copy, wal, walOfThree } = appendFive();
    writeFileSync(wal, walOfThree);
    const { buffer: later, lines } = openBuffer(copy, 'two');
    expect(later.read('a', 1000).length).toBe(3);
    expect(later.losses.vanishedSegments).toBe(2);
    expect(later.losses.samples.vanished).toBe(2);
    expect(lines).toContainEqual(
      expect.objectContaining({
        reason: 'vanished',
        tenant: 'a',
        samples: 2,
        oldest: new Date(T0 + 1).toISOString(),
        newest: new Date(T0 + 5).toISOString(),
        sequences: expect.stringContaining(': 4-5'),
      }),
    );
    later.close();
  });

  test('commits behind a damaged byte of it are carried over', () => {
    const { copy, wal } = appendFive();
    flipBit(wal, readFileSync(wal).length / 2);
    const { buffer: later } = openBuffer(copy, 'two');
    expect(rowsOf(later.read('a', 1000)).map(([, timestamp]) => timestamp! - T0)).toEqual([
      1, 2, 3, 4, 5,
    ]);
    expect(later.losses.salvages).toBe(1);
    later.close();
  });

  test('a commit that a crash cut off is no damage', () => {
    const { copy, wal } = appendFive(1);
    truncateSync(wal, readFileSync(wal).length - 20_000);
    const { buffer: later, lines } = openBuffer(copy, 'two');
    expect(lines).toEqual([]);
    expect(later.backlog.get('a')).toBe(5);
    later.close();
  });
});

test('a witness that was cut off by a crash is no reason not to start', () => {
  const { buffer } = openBuffer(dataDir, 'one');
  buffer.append([{ tenant: 'a', columns: samplesOf(0, T0) }]);
  buffer.housekeep();
  buffer.close();
  writeFileSync(join(dataDir, 'high-water.json'), '{"run":"00');
  const { buffer: later } = openBuffer(dataDir, 'two');
  expect(later.losses.vanishedSegments).toBe(0);
  expect(later.backlog.get('a')).toBe(1);
  later.close();
});

test('a dictionary that is not what was written is salvaged, and other ids keep their meaning', () => {
  const { buffer } = openBuffer(dataDir, 'one');
  const newEntries = { firstId: 0, entries: seriesEntries('a', 'b', 'c') };
  buffer.append([{ tenant: '', columns: samplesOf(0, T0), newEntries }]);
  for (const id of [1, 2]) buffer.append([{ tenant: '', columns: samplesOf(id, T0 + id) }]);
  buffer.close();
  const database = openDatabase(dataDir);
  const entry = seriesEntries('x')[0];
  database.prepare('UPDATE dictionary SET entry = ? WHERE id = 1').run(entry);
  database.close();

  const { buffer: later, lines } = openBuffer(dataDir, 'two');
  const [first] = later.read('', 1);
  const log = later.dictionaryOfEpoch(first!.epoch);
  expect([log.length, log.entry(0), log.entry(2)]).toEqual([3, ...bytes('a', 'c')]);
  expect(log.entry(1)).not.toEqual(entry);
  expect(rowsOf(later.read('', 1000)).map(([id]) => id)).toEqual([0, 2]);
  expect(later.losses.samples.damaged).toBe(1);
  expect(lines).toContainEqual(
    expect.objectContaining({ samples: 1, oldest: new Date(T0 + 1).toISOString() }),
  );
  // How long the log had been nobody can say: no id of it is given out again.
  expect(later.dictionary.epoch).not.toBe(log.epoch);
  expect(later.dictionary.length).toBe(0);
  later.close();
});

describe('a dictionary that no segment refers to any more', () => {
  const names = Array.from({ length: 15_000 }, (_, index) => `series_${index}`);

  test('goes bit by bit, and a crash on the way is harmless', () => {
    const { buffer } = openBuffer(dataDir, 'one');
    const newEntries = { firstId: 0, entries: seriesEntries(...names) };
    buffer.append([{ tenant: '', columns: samplesOf(14_999, T0), newEntries }]);
    buffer.openEpoch();
    buffer.housekeep();
    expect(buffer.dictionaries).toHaveLength(2);
    buffer.acknowledge('', [{ run: buffer.run, first: 1, last: 1 }]);
    buffer.housekeep();
    expect(buffer.dictionaries).toEqual([buffer.dictionary]);

    const copy = powerCut(dataDir);
    const database = openDatabase(copy);
    const count = () => database.prepare('SELECT count(*) AS n FROM dictionary').get();
    expect(count()).toEqual({ n: 5000 });
    const { buffer: later } = openBuffer(copy, 'two');
    later.housekeep();
    expect(count()).toEqual({ n: 0 });
    expect(later.dictionaries).toEqual([later.dictionary]);
    database.close();
    later.close();
    buffer.close();
  });
});

/** SQLite hands entries out as Buffer. */
function bytes(...names: string[]): Buffer[] {
  return seriesEntries(...names).map((entry) => Buffer.from(entry));
}
