import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import { DamagedBufferError } from '../../agent/buffer/damage.ts';
import { BufferDatabase } from '../../agent/buffer/database.ts';
import { NoRoomError } from '../../agent/buffer/disk-fault.ts';
import { emptyLosses } from '../../agent/buffer/losses.ts';
import { SegmentTable } from '../../agent/buffer/segment-table.ts';
import { lockDataDir } from '../../base/sqlite/data-dir-lock.ts';
import { DAMAGES_OF_DATABASE } from '../tools/buffer-damages.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  openBuffer,
  openDatabase,
  powerCut,
  rowsOf,
  StillClock,
  samplesOf,
  seriesEntries,
  T0,
} from './buffer-fixture.ts';

let workspace: Workspace;
let dataDir: string;

beforeEach(() => {
  workspace = new Workspace('salvage-steps');
  dataDir = workspace.subfolder('data');
});
afterEach(() => workspace.close());

/** Three segments of one sample each, and the buffer that holds them, still open. */
function fill() {
  const { buffer, lines } = openBuffer(dataDir, 'one');
  const newEntries = { firstId: 0, entries: seriesEntries('a', 'b', 'c') };
  buffer.append([{ tenant: 'a', columns: samplesOf(0, T0), newEntries }]);
  for (const id of [1, 2]) buffer.append([{ tenant: 'a', columns: samplesOf(id, T0 + id) }]);
  return { buffer, lines };
}

function damage(name: string): void {
  const found = DAMAGES_OF_DATABASE.find((candidate) => candidate.name === name)!;
  found.apply(dataDir, seededRandom(name));
}

function idsIn(buffer: ReturnType<typeof openBuffer>['buffer']): number[] {
  return rowsOf(buffer.read('a', 1000)).map(([id]) => id!);
}

/** The dictionary log that the oldest segment refers to. */
function oldestLog(buffer: ReturnType<typeof openBuffer>['buffer']) {
  const [oldest] = buffer.read('a', 1);
  buffer.pin('a', undefined);
  return buffer.dictionaryOfEpoch(oldest!.epoch);
}

function folders(): string[] {
  return readdirSync(dataDir).filter((name) => name.startsWith('damaged-'));
}

describe('a salvage that a crash interrupts', () => {
  const stamp = '20260101T000000Z';
  const part = () => join(dataDir, `salvaged-${stamp}.db.part`);
  const aside = () => join(dataDir, `damaged-${stamp}`);

  beforeEach(() => {
    fill().buffer.close();
    damage('a bit in the magic of the header');
  });

  test.each<[string, () => void]>([
    ['before anything was set aside', () => writeFileSync(part(), '')],
    [
      'between the log and the database',
      () => {
        writeFileSync(part(), '');
        mkdirSync(aside());
        cpSync(join(dataDir, 'high-water.json'), join(aside(), 'high-water.json'));
      },
    ],
    [
      'with half a new database',
      () => {
        writeFileSync(part(), 'half a database');
        mkdirSync(aside());
        renameSync(join(dataDir, 'buffer.db'), join(aside(), 'buffer.db'));
      },
    ],
  ])('begins again: %s', (_, interrupt) => {
    interrupt();
    const { buffer } = openBuffer(dataDir, 'two');
    expect(idsIn(buffer)).toEqual([0, 1, 2]);
    expect(buffer.losses).toEqual({ ...emptyLosses(), salvages: 1, salvagedSamples: 3 });
    expect(folders()).toEqual([`damaged-${stamp}`]);
    buffer.close();
  });

  test('takes the new database when that was whole', () => {
    openBuffer(dataDir, 'two').buffer.close();
    rmSync(join(dataDir, folders()[0]!), { recursive: true });
    renameSync(join(dataDir, 'buffer.db'), join(dataDir, `salvaged-${stamp}.db`));
    const { buffer, lines } = openBuffer(dataDir, 'three');
    expect(idsIn(buffer)).toEqual([0, 1, 2]);
    expect(lines).toEqual([]);
    buffer.close();
  });

  test('overwrites nothing that was set aside before', () => {
    for (const seed of ['two', 'three']) {
      openBuffer(dataDir, seed).buffer.close();
      damage('a bit in the magic of the header');
    }
    const { buffer } = openBuffer(dataDir, 'four');
    expect(folders()).toHaveLength(3);
    for (const name of folders()) expect(existsSync(join(dataDir, name, 'buffer.db'))).toBe(true);
    buffer.close();
  });
});

describe('a salvage', () => {
  test('waits ten minutes for room before it leaves anything behind', () => {
    fill().buffer.close();
    damage('a bit in the magic of the header');
    const clock = new StillClock();
    const { log, lines } = memoryLog();
    const open = (freeDiskBytesMin: number) => {
      const bytesMax = 2 ** 26;
      const limits = {
        bytesMax,
        parkedBytesMax: bytesMax,
        ageMaxMs: 0,
        whenFull: 'reject',
      } as const;
      const hubClock = { confirmed: () => undefined };
      const tools = { clock, hubClock, random: seededRandom('two'), log, triedSinceMs: T0 };
      return new SampleBuffer({ dataDir, ...limits, freeDiskBytesMin }, tools);
    };
    for (const waitedMs of [0, 599_999]) {
      clock.ms = T0 + waitedMs;
      expect(() => open(2 ** 60)).toThrow(NoRoomError);
      const part = readdirSync(dataDir).filter((name) => name.startsWith('salvaged-'));
      // What does not stay takes no room meanwhile.
      expect(part.map((name) => statSync(join(dataDir, name)).size)).toEqual([0]);
    }
    expect(JSON.stringify(lines)).not.toContain('left behind');
    const inTime = powerCut(dataDir);
    clock.ms = T0 + 600_000;
    const late = open(2 ** 60);
    expect([late.backlog.get('a'), late.losses.samples.damaged]).toEqual([undefined, 3]);
    late.close();
    const { buffer } = openBuffer(inTime, 'two');
    expect([idsIn(buffer), buffer.losses.samples.damaged]).toEqual([[0, 1, 2], 0]);
    buffer.close();
  });

  test('leaves behind what the disk has no room for, and accounts for it', () => {
    fill().buffer.close();
    damage('a bit in the magic of the header');
    const { buffer, lines } = openBuffer(dataDir, 'two', { freeDiskBytesMin: 2 ** 60 });
    expect(buffer.backlog.get('a')).toBeUndefined();
    expect(buffer.losses.samples.damaged).toBe(3);
    expect(lines).toContainEqual(
      expect.objectContaining({
        samples: 3,
        oldest: new Date(T0).toISOString(),
        newest: new Date(T0 + 2).toISOString(),
        msg: expect.stringContaining('the disk has no room for them'),
      }),
    );
    buffer.close();
  });

  test('keeps the names of dictionaries that are whole, and gives others a new one', () => {
    const { buffer } = fill();
    const { epoch } = buffer.dictionary;
    buffer.close();
    damage('a bit in the magic of the header');
    const { buffer: whole } = openBuffer(dataDir, 'two');
    expect(oldestLog(whole).epoch).toBe(epoch);
    whole.close();
    const db = openDatabase(dataDir);
    db.prepare('DELETE FROM dictionary WHERE id = 1').run();
    db.close();
    const { buffer: torn } = openBuffer(dataDir, 'three');
    const log = oldestLog(torn);
    expect(log.epoch).not.toBe(epoch);
    expect(log.length).toBe(1);
    expect(idsIn(torn)).toEqual([0]);
    torn.close();
  });

  test('goes by sequences where ids are damaged', () => {
    fill().buffer.close();
    const db = openDatabase(dataDir);
    db.prepare('UPDATE segments SET id = 99 WHERE id = 2').run();
    db.prepare("UPDATE epochs SET epoch = 'no name'").run();
    db.close();
    const { buffer } = openBuffer(dataDir, 'two');
    expect(buffer.losses.salvages).toBe(1);
    expect(idsIn(buffer)).toEqual([0, 1, 2]);
    buffer.close();
  });
});

describe('no damage is', () => {
  test('what the disk does not let be opened: nothing is set aside', () => {
    mkdirSync(join(dataDir, 'buffer.db'));
    expect(() => openBuffer(dataDir, 'one')).toThrow(/unable to open database file|EISDIR/);
    expect(folders()).toEqual([]);
  });

  test('an empty folder, or a database that was created just now', () => {
    const { buffer, lines } = openBuffer(dataDir, 'one');
    buffer.close();
    expect([lines, openBuffer(dataDir, 'two').lines]).toEqual([[], []]);
  });
});

describe('a buffer that runs', () => {
  test('throws when a page turns out to be damaged, and takes nothing more', () => {
    const { buffer } = fill();
    const { stored } = SegmentTable.prototype;
    SegmentTable.prototype.stored = () => {
      throw Object.assign(new Error('database disk image is malformed'), {
        code: 'SQLITE_CORRUPT',
      });
    };
    try {
      expect(() => buffer.read('a', 1000)).toThrow('malformed');
    } finally {
      SegmentTable.prototype.stored = stored;
    }
    buffer.abandon();
    const { buffer: next } = openBuffer(dataDir, 'two');
    expect(idsIn(next)).toEqual([0, 1, 2]);
    next.close();
  });

  test('is salvaged from its files when the open ones cannot be copied', () => {
    const { buffer } = fill();
    const { copyInto } = BufferDatabase.prototype;
    BufferDatabase.prototype.copyInto = () => {
      throw new Error('database disk image is malformed');
    };
    try {
      buffer.abandon();
    } finally {
      BufferDatabase.prototype.copyInto = copyInto;
    }
    const { buffer: next } = openBuffer(dataDir, 'two', {}, buffer.losses);
    expect(idsIn(next)).toEqual([0, 1, 2]);
    expect(next.losses).toEqual({ ...emptyLosses(), salvages: 1, salvagedSamples: 3 });
    next.close();
  });

  test('throws when rows are not found that must be there', () => {
    const { buffer } = fill();
    const other = openDatabase(dataDir);
    other.exec('DELETE FROM segments');
    other.close();
    expect(() => buffer.read('a', 1000)).toThrow(DamagedBufferError);
    expect(buffer.append([{ tenant: 'a', columns: samplesOf(0, T0) }])).toBe('recovering');
    buffer.abandon();
    const { buffer: next } = openBuffer(dataDir, 'two', {}, buffer.losses);
    expect(next.losses.samples.damaged).toBe(3);
    next.close();
  });

  test('hands what was answered for meanwhile to the next one', () => {
    const { buffer } = fill();
    rmSync(join(dataDir, 'buffer.db'));
    expect(() => buffer.housekeep()).toThrow(DamagedBufferError);
    expect(buffer.acknowledge('a', [{ run: buffer.run, first: 1, last: 2 }])).toBe(0);
    buffer.abandon();
    const { unforgotten } = buffer;
    const { buffer: next } = openBuffer(dataDir, 'two', {}, buffer.losses, unforgotten);
    expect(idsIn(next)).toEqual([2]);
    next.close();
  });
});

test('a folder has one agent', () => {
  lockDataDir(dataDir, 'agent');
  expect(() => lockDataDir(dataDir, 'agent')).toThrow(/another process uses this folder/);
});
