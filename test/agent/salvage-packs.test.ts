import { cpSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { emptyLosses } from '../../agent/buffer/losses.ts';
import { OfflineBuffer } from '../../agent/buffer/salvage/offline-buffer.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { DAMAGES_OF_DATABASE } from '../tools/buffer-damages.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import { openBuffer, openDatabase, samplesOf, seriesEntries, T0 } from './buffer-fixture.ts';
import { append, pack, partOf, type SampleBuffer, secondsIn, secondsOf } from './packs-fixture.ts';

let workspace: Workspace;
let dataDir: string;

beforeEach(() => {
  workspace = new Workspace('salvage-packs');
  dataDir = workspace.subfolder('data');
  const { buffer } = openBuffer(dataDir, 'one');
  const newEntries = { firstId: 0, entries: seriesEntries('a') };
  buffer.append([{ tenant: '', columns: samplesOf(0, T0), newEntries }]);
  append(buffer, 8, 1);
  pack(buffer, 4);
  pack(buffer, 2);
  buffer.close();
});
afterEach(() => workspace.close());

const WRECK = 'a bit in the magic of the header';

/** Makes the database one that SQLite does not open. */
function wreck(): void {
  DAMAGES_OF_DATABASE.find(({ name }) => name === WRECK)!.apply(dataDir, seededRandom(WRECK));
}

/** Seconds behind T0 of what waits: of each pack, and of the segments behind the last. */
function waitingIn(buffer: SampleBuffer) {
  const packs = buffer.packs('').map((head) => secondsIn(buffer, head));
  return [...packs, secondsOf(buffer.read('', 1000, (buffer.packs('').at(-1)?.id ?? 0) + 1))];
}

describe('a damaged buffer with packs', () => {
  test('gives all of them, in their place among the segments', () => {
    wreck();
    const { buffer } = openBuffer(dataDir, 'two');
    expect(buffer.losses).toMatchObject({ salvages: 1, salvagedSamples: 9 });
    expect(waitingIn(buffer)).toEqual([
      [0, 1, 2, 3],
      [4, 5],
      [6, 7, 8],
    ]);
    expect(buffer.backlog.get('')).toBe(9);
    buffer.close();
    expect(openBuffer(dataDir, 'three').buffer.losses.salvages).toBe(0);
  });

  test('keeps the order of each tenant, however many others have stored in between', () => {
    const { buffer } = openBuffer(dataDir, 'two');
    append(buffer, 12, 0, 'b');
    append(buffer, 6, 9);
    pack(buffer, 3);
    pack(buffer, 2);
    buffer.close();
    wreck();
    const { buffer: next } = openBuffer(dataDir, 'three');
    expect(waitingIn(next).flat()).toEqual(Array.from({ length: 15 }, (_, second) => second));
    expect(secondsOf(next.read('b', 1000))).toEqual(Array.from({ length: 12 }, (_, at) => at));
    next.close();
  });

  test('gives the parts of a split one in their order, and what is parked behind all', () => {
    const { buffer } = openBuffer(dataDir, 'two');
    const [whole, other] = buffer.packs('');
    buffer.replacePack(whole!, [partOf(0, 1), partOf(2, 3)]);
    buffer.parkPack(other!, { inside: undefined, outside: [partOf(4, 5)] });
    buffer.close();
    wreck();
    const { buffer: next } = openBuffer(dataDir, 'three');
    expect(next.backlog.get('')).toBe(9);
    expect(next.packs('').map((head) => secondsIn(next, head))).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
    expect(secondsOf(next.read('', 1000))).toEqual([]);
    next.close();
  });

  test('accounts for one whose body is damaged as well, and for no other', () => {
    const database = openDatabase(dataDir);
    database.exec("UPDATE packs SET body = x'00' WHERE id = 1");
    database.close();
    wreck();
    const { buffer, lines } = openBuffer(dataDir, 'two');
    expect(buffer.losses.samples).toEqual({ ...emptyLosses().samples, damaged: 4 });
    const times = { oldest: new Date(T0).toISOString(), newest: expect.any(String) };
    expect(lines).toContainEqual(expect.objectContaining({ samples: 4, ...times }));
    expect(waitingIn(buffer)).toEqual([
      [4, 5],
      [6, 7, 8],
    ]);
    buffer.close();
  });

  test('loses of a pack the samples whose series is lost, and keeps the others', () => {
    const { buffer } = openBuffer(dataDir, 'two');
    const newEntries = { firstId: 1, entries: seriesEntries('b', 'c', 'd') };
    buffer.append([{ tenant: 'b', columns: samplesOf(1, T0), newEntries }]);
    buffer.append([{ tenant: 'b', columns: samplesOf(3, T0 + 1000) }]);
    pack(buffer, 100, 'b');
    buffer.close();
    const database = openDatabase(dataDir);
    // Nothing vouches for the one behind it then.
    database.exec('DELETE FROM dictionary WHERE id = 1');
    database.close();
    wreck();
    const { buffer: next } = openBuffer(dataDir, 'three');
    expect(next.losses.samples.damaged).toBe(1);
    expect(next.packs('b').map((head) => secondsIn(next, head))).toEqual([[1]]);
    expect(next.backlog.get('b')).toBe(1);
    next.close();
  });
});

test('packs are read in their place without opening the buffer', () => {
  const copy = workspace.subfolder('copy');
  cpSync(dataDir, copy, { recursive: true });
  const buffer = OfflineBuffer.open(copy)!;
  const columns = new SampleColumns();
  const kinds = buffer.rows.map((row) => {
    expect(buffer.read(row, columns)).toBeDefined();
    return [row.kind, Array.from(columns.timestamps.subarray(0, columns.count), (ms) => ms - T0)];
  });
  buffer.close();
  expect(kinds).toEqual([
    ['pack', [0, 1000, 2000, 3000]],
    ['pack', [4000, 5000]],
    ['segment', [6000]],
    ['segment', [7000]],
    ['segment', [8000]],
  ]);
});
