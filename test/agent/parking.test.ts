import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { emptyLosses } from '../../agent/buffer/losses.ts';
import { HubClock } from '../../agent/hub-clock.ts';
import { Parking } from '../../agent/parking.ts';
import type { TimeWindow } from '../../agent/ship/contracts.ts';
import { TimeWindows } from '../../agent/ship/time-windows.ts';
import { TargetKeys } from '../../agent/target-keys.ts';
import { exemplarBytes } from '../proto/objects/columns-fixture.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  openBuffer,
  openDatabase,
  StillClock,
  samplesOf,
  seriesEntries,
  T0,
} from './buffer-fixture.ts';
import {
  append,
  failingDisk,
  pack,
  type SampleBuffer,
  secondsIn,
  secondsOf,
} from './packs-fixture.ts';

let workspace: Workspace;
let dataDir: string;
let buffer: SampleBuffer;

/** A clock on which the one second between two looks passes at once, once. */
class OneLookClock extends StillClock {
  readonly #ending: AbortController;
  #looks = 0;

  constructor(ending: AbortController) {
    super();
    this.#ending = ending;
  }

  override async sleep(): Promise<void> {
    if (++this.#looks > 1) this.#ending.abort();
  }
}

beforeEach(() => {
  workspace = new Workspace('parking');
  dataDir = workspace.subfolder('data');
  buffer = openBuffer(dataDir, 'one').buffer;
  const newEntries = { firstId: 0, entries: seriesEntries('a') };
  // Seconds 0, 10 and 20 in one segment.
  const columns = samplesOf(0, T0, T0 + 10_000, T0 + 20_000);
  buffer.append([{ tenant: '', columns, newEntries }]);
});
afterEach(async () => {
  vi.restoreAllMocks();
  buffer.close();
  await workspace.close();
});

/** Seconds behind T0, both included. */
const between = (oldest: number, newest: number): TimeWindow => {
  return { oldest: T0 + oldest * 1000, newest: T0 + newest * 1000 };
};

function parking(clock = new StillClock()) {
  const { log, lines } = memoryLog();
  return { parking: new Parking({ buffer, targets: new TargetKeys(buffer), clock, log }), lines };
}

const parked = () => buffer.parkedPacks.map(({ oldest, newest }) => [oldest - T0, newest - T0]);

describe('samples that the destination would refuse', () => {
  test('leave their segment, which keeps its position, and stay in the buffer', () => {
    const { parking: it, lines } = parking();
    const [before] = buffer.read('', 10);
    expect(it.parkSegments([before!], between(5, 15))).toBe(true);
    const [after] = buffer.read('', 10);
    expect(secondsOf([after!])).toEqual([10]);
    expect([after!.run, after!.sequence, after!.id]).toEqual([
      before!.run,
      before!.sequence,
      before!.id,
    ]);
    expect(parked()).toEqual([
      [0, 0],
      [20_000, 20_000],
    ]);
    expect([buffer.parkedSamples, buffer.backlog.get('')]).toEqual([2, 3]);
    expect(lines).toHaveLength(1);
    const [oldest, newest] = [T0, T0 + 20_000].map((ms) => new Date(ms).toISOString());
    expect(lines[0]).toMatchObject({ samples: 2, oldest, newest });
  });

  test('are still there, once each, after a restart', () => {
    const [segment] = buffer.read('', 10);
    parking().parking.parkSegments([segment!], between(5, 15));
    buffer.close();
    const opened = openBuffer(dataDir, 'two');
    buffer = opened.buffer;
    expect(buffer.losses.samples).toEqual(emptyLosses().samples);
    expect([buffer.parkedSamples, buffer.backlog.get('')]).toEqual([2, 3]);
    expect(secondsOf(buffer.read('', 10))).toEqual([10]);
  });

  test('leave a pack, of which the rest keeps its place', () => {
    append(buffer, 3, 30);
    pack(buffer, 5);
    const { parking: it } = parking();
    expect(it.parkPack(buffer.packs('')[0]!, between(10, 31))).toBe(true);
    expect(buffer.packs('').map((head) => secondsIn(buffer, head))).toEqual([[10, 20, 30, 31]]);
    expect(secondsOf(buffer.read('', 10, buffer.packs('')[0]!.lastId + 1))).toEqual([32]);
    expect(parked()).toEqual([[0, 0]]);
    expect(buffer.backlog.get('')).toBe(6);
  });

  test('are none where the row only claims times that no sample has', () => {
    buffer.close();
    const database = openDatabase(dataDir);
    database.exec('UPDATE segments SET oldest = 1');
    database.close();
    buffer = openBuffer(dataDir, 'two').buffer;
    const { parking: it, lines } = parking();
    it.parkSegments(buffer.read('', 10), between(0, 20));
    expect([lines, buffer.parkedSamples, buffer.backlog.get('')]).toEqual([[], 0, 3]);
    expect(buffer.read('', 10)[0]!.oldest).toBe(T0);
  });

  test('are left alone where all of them may go', () => {
    const segments = buffer.read('', 10);
    expect(parking().parking.parkSegments(segments, between(0, 20))).toBe(false);
    expect(buffer.parkedSamples).toBe(0);
  });

  test('go once they may, and not before', async () => {
    const [segment] = buffer.read('', 10);
    const ending = new AbortController();
    const { parking: it, lines } = parking(new OneLookClock(ending));
    it.parkSegments([segment!], between(5, 15));
    let released = 0;
    // The time of second 20 has come; second 0 stays too old.
    await it.run(
      () => between(5, 25),
      () => released++,
      ending.signal,
    );
    expect([released, parked()]).toEqual([1, [[0, 0]]]);
    expect(buffer.packs('').map((head) => secondsIn(buffer, head))).toEqual([[20]]);
    expect(lines.at(-1)).toMatchObject({ samples: 1 });
    expect(buffer.backlog.get('')).toBe(3);
  });
});

describe('what is parked', () => {
  /** Parks seconds 0 and 20, so that 10 is left. */
  function park(): void {
    const [segment] = buffer.read('', 10);
    buffer.pin('', undefined);
    parking().parking.parkSegments([segment!], between(5, 15));
  }

  test('is not, on a failing disk, and everything is where it was', () => {
    append(buffer, 2, 30);
    pack(buffer, 4);
    append(buffer, 1, 40);
    failingDisk();
    const { parking: it } = parking();
    const [head] = buffer.packs('');
    const segments = buffer.read('', 10, head!.lastId + 1);
    expect(it.parkPack(head!, between(5, 15))).toBe(false);
    expect(it.parkSegments(segments, between(5, 15))).toBe(false);
    vi.restoreAllMocks();
    expect([buffer.parkedSamples, buffer.backlog.get('')]).toEqual([0, 6]);
    expect(secondsIn(buffer, head!)).toEqual([0, 10, 20, 30]);
    expect(secondsOf(buffer.read('', 10, head!.lastId + 1)).at(-1)).toBe(40);
  });

  test('and damaged is set aside and accounted for at the start, and no other pack with it', () => {
    park();
    append(buffer, 3, 30);
    pack(buffer, 4);
    const [head] = buffer.packs('');
    expect(buffer.parkedPacks[0]!.key).toBe(head!.key);
    buffer.close();
    const database = openDatabase(dataDir);
    database.exec(`UPDATE parked_packs SET epoch = 9 WHERE key = ${head!.key}`);
    database.close();
    buffer = openBuffer(dataDir, 'two').buffer;
    expect(buffer.losses.samples.damaged).toBe(1);
    expect([buffer.parkedSamples, buffer.backlog.get('')]).toEqual([1, 5]);
    expect(buffer.packs('').map((one) => secondsIn(buffer, one))).toEqual([[10, 30, 31, 32]]);
  });

  test('and damaged is accounted for when it would be released', () => {
    park();
    buffer.close();
    const database = openDatabase(dataDir);
    database.exec("UPDATE parked_packs SET body = x'00'");
    database.close();
    buffer = openBuffer(dataDir, 'two').buffer;
    for (const head of [...buffer.parkedPacks]) expect(buffer.release(head)).toBe(false);
    expect(buffer.losses.samples.damaged).toBe(2);
    expect([buffer.parkedSamples, buffer.backlog.get('')]).toEqual([0, 1]);
  });

  test('keeps nothing that is older from being evicted', () => {
    buffer.close();
    const opened = openBuffer(dataDir, 'two', { ageMaxMs: 60_000 });
    buffer = opened.buffer;
    opened.clock.ms += 50_000;
    append(buffer, 1, 50, 'b');
    const segments = buffer.read('b', 10);
    buffer.pin('b', undefined);
    parking().parking.parkSegments(segments, between(0, 20));
    opened.clock.ms += 20_000;
    buffer.housekeep();
    expect(buffer.losses.samples.age).toBe(3);
    expect([buffer.parkedSamples, buffer.backlog.get('')]).toEqual([1, 0]);
    opened.clock.ms += 50_000;
    buffer.housekeep();
    expect(buffer.losses.samples.age).toBe(4);
    expect(buffer.parkedSamples).toBe(0);
  });
});

describe('the window of a tenant', () => {
  const answer = { hubClockMs: T0, oldestAcceptedMs: T0 - 5000 };

  test('is not known before the hub has said anything', () => {
    expect(new TimeWindows(new HubClock(new StillClock())).of('')).toBeUndefined();
  });

  test('ends by the hub’s clock, however wrong that of the agent is', () => {
    const clock = new StillClock();
    clock.ms = 5;
    const hubClock = new HubClock(clock);
    const windows = new TimeWindows(hubClock);
    windows.adopt({ ...state, aheadMaxMs: 60_000 });
    hubClock.hear(T0);
    clock.ms += 1000;
    expect(windows.of('')).toEqual({
      oldest: Number.NEGATIVE_INFINITY,
      newest: T0 + 1000 + 60_000,
    });
  });

  test('begins where the last answer for the tenant says', () => {
    const hubClock = new HubClock(new StillClock());
    hubClock.hear(T0);
    const windows = new TimeWindows(hubClock);
    windows.hear('a', answer as Parameters<TimeWindows['hear']>[1]);
    expect(windows.of('a')?.oldest).toBe(T0 - 5000);
    expect(windows.of('b')?.oldest).toBe(Number.NEGATIVE_INFINITY);
    windows.hear('a', { hubClockMs: T0 } as Parameters<TimeWindows['hear']>[1]);
    expect(windows.of('a')?.oldest).toBe(Number.NEGATIVE_INFINITY);
  });
});

const state = { tenants: [] } as unknown as Parameters<TimeWindows['adopt']>[0];

describe('exemplars', () => {
  /** A segment with an exemplar of long ago behind the samples of seconds 0 and 10. */
  function withOldExemplar() {
    const columns = samplesOf(0, T0, T0 + 10_000);
    columns.pushObject('exemplar', 0, T0 - 86_400_000, exemplarBytes('old'));
    buffer.append([{ tenant: '', columns }]);
    return second();
  }

  /** It spans too long for a batch with the one before. */
  const second = () => buffer.read('', 10, buffer.read('', 10)[0]!.id + 1)[0]!;

  test('do not make their segment wait, however old they are, nor have it read again', () => {
    const segment = withOldExemplar();
    const { parking: it } = parking();
    const read = vi.spyOn(buffer, 'readSegment');
    for (let look = 0; look < 3; look++) {
      expect(it.parkSegments([segment], between(0, 60))).toBe(false);
    }
    expect(read).toHaveBeenCalledTimes(1);
    expect(parked()).toEqual([]);
  });

  test('stay where they are when samples of their segment are parked', () => {
    const segment = withOldExemplar();
    const { parking: it } = parking();
    expect(it.parkSegments([segment], between(5, 60))).toBe(true);
    expect(parked()).toEqual([[0, 0]]);
    expect(second().samples).toBe(2);
    expect(it.parkSegments([second()], between(5, 60))).toBe(false);
  });
});
