import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import { BufferDatabase } from '../../agent/buffer/database.ts';
import { HubClock } from '../../agent/hub-clock.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { SettableClock } from '../tools/settable-clock.ts';
import { Workspace } from '../tools/workspace.ts';
import { openDatabase, samplesOf, seriesEntries, T0 } from './buffer-fixture.ts';
import { sqliteError } from './disk-faults-fixture.ts';
import { append, pack } from './packs-fixture.ts';

const DAY_MS = 86_400_000;
const AGE_MAX_MS = 7 * DAY_MS;
const YEAR_MS = 365 * DAY_MS;

let workspace: Workspace;
let dataDir: string;
let rightMs: number;
let starts: number;

beforeEach(() => {
  workspace = new Workspace('buffer-age');
  dataDir = workspace.subfolder('data');
  rightMs = T0;
  starts = 0;
});
afterEach(() => workspace.close());

/** One process of an agent whose clock is wrong by `offsetMs`; the right time is in `rightMs`. */
function start(offsetMs = 0) {
  const clock = new SettableClock(rightMs + offsetMs);
  const hubClock = new HubClock(clock);
  const limits = {
    bytesMax: 2 ** 26,
    parkedBytesMax: 2 ** 24,
    whenFull: 'reject',
    freeDiskBytesMin: 0,
  } as const;
  const buffer = new SampleBuffer(
    { dataDir, ageMaxMs: AGE_MAX_MS, ...limits },
    { clock, hubClock, random: seededRandom(`age ${++starts}`), log: memoryLog().log },
  );
  return {
    clock,
    buffer,
    hear: () => hubClock.hear(rightMs),
    pass(ms: number) {
      rightMs += ms;
      clock.pass(ms);
    },
    append: (samples = 1) => {
      buffer.append([{ tenant: '', columns: samplesOf(0, ...Array(samples).fill(T0)) }]);
    },
    /** Samples evicted for their age so far. */
    evicted() {
      buffer.housekeep();
      return buffer.losses.samples.age;
    },
  };
}

describe('nothing is evicted for its age', () => {
  test('by a clock that is ahead, before the hub was heard and after it', () => {
    const first = start();
    first.hear();
    first.append(500);
    first.buffer.close();
    const ahead = start(YEAR_MS);
    expect(ahead.evicted()).toBe(0);
    ahead.hear();
    expect(ahead.evicted()).toBe(0);
    ahead.buffer.close();
    const right = start();
    right.hear();
    expect(right.evicted()).toBe(0);
    expect(right.buffer.backlog.get('')).toBe(500);
    right.buffer.close();
  });

  test.each([
    [-50_000, 50_000],
    [50_000, -50_000],
    [50_000, 50_000],
  ])('too soon by a clock that is wrong by %i ms, and then by %i', (first, then) => {
    const agent = start(first);
    agent.hear();
    agent.append();
    agent.buffer.close();
    const later = start(then);
    later.hear();
    later.pass(AGE_MAX_MS);
    expect(later.evicted()).toBe(0);
    later.pass(120_000);
    expect(later.evicted()).toBe(1);
    later.buffer.close();
  });

  test('by a clock that is set forward while the agent runs', () => {
    const agent = start();
    agent.hear();
    agent.append();
    agent.clock.ownMs += YEAR_MS;
    expect(agent.evicted()).toBe(0);
    agent.append();
    agent.clock.ownMs -= YEAR_MS;
    expect(agent.evicted()).toBe(0);
    agent.buffer.close();
  });

  test.each([
    ['behind', -T0 + DAY_MS],
    ['a year behind', -YEAR_MS],
    ['ahead', YEAR_MS],
  ])('because it was stored under a clock that was %s, in segments or packs', (_, offsetMs) => {
    const wrong = start(offsetMs);
    wrong.append();
    append(wrong.buffer, 2, 0, 'packed');
    pack(wrong.buffer, 2, 'packed');
    wrong.hear();
    wrong.append();
    wrong.clock.ownMs = rightMs;
    wrong.hear();
    expect(wrong.evicted()).toBe(0);
    wrong.buffer.close();
    const later = start();
    later.hear();
    expect(later.evicted()).toBe(0);
    later.pass(AGE_MAX_MS);
    expect(later.evicted()).toBe(0);
    later.pass(1);
    expect(later.evicted()).toBe(4);
    later.buffer.close();
  });

  test('by a date that cannot be right, or by the time that an earlier version has stored', () => {
    const first = start();
    first.hear();
    for (let segment = 0; segment < 3; segment++) first.append();
    first.buffer.close();
    const database = openDatabase(dataDir);
    database.exec(`UPDATE segments SET stored_at = ${-DAY_MS} WHERE id = 1`);
    database.exec(`UPDATE segments SET stored_at = ${-(T0 + YEAR_MS)} WHERE id = 2`);
    database.exec(`UPDATE segments SET stored_at = ${T0 - YEAR_MS} WHERE id = 3`);
    database.close();
    const later = start();
    later.hear();
    expect(later.evicted()).toBe(0);
    later.pass(AGE_MAX_MS + 1);
    expect(later.evicted()).toBe(3);
    later.buffer.close();
  });

  test.each([
    ['before there was this program', -DAY_MS],
    ['that lies in the future', -(T0 + YEAR_MS)],
    ['that an earlier version has stored, by whatever clock', T0 - YEAR_MS],
  ])('by a date %s, of what is the first in the buffer', (_, storedAt) => {
    const first = start();
    first.hear();
    first.append();
    append(first.buffer, 2, 0, 'packed');
    pack(first.buffer, 2, 'packed');
    first.buffer.close();
    const database = openDatabase(dataDir);
    for (const table of ['segments', 'packs']) {
      database.exec(`UPDATE ${table} SET stored_at = ${storedAt}`);
    }
    database.close();
    const later = start();
    later.hear();
    expect(later.evicted()).toBe(0);
    later.pass(AGE_MAX_MS + 1);
    expect(later.evicted()).toBe(3);
    later.buffer.close();
  });

  test.each(['segments', 'packs'])('by the date of what was salvaged from %s', (table) => {
    const { buffer, hear } = start();
    hear();
    const newEntries = { firstId: 0, entries: seriesEntries('a') };
    buffer.append([{ tenant: '', columns: samplesOf(0, T0, T0 + 1), newEntries }]);
    if (table === 'packs') pack(buffer, 1, '');
    const database = openDatabase(dataDir);
    // A bit may have flipped in it.
    const { changes } = database.prepare(`UPDATE ${table} SET stored_at = ?`).run(YEAR_MS - T0);
    expect(changes).toBe(1);
    database.close();
    const copying = vi.spyOn(BufferDatabase.prototype, 'copyInto').mockImplementation(() => {
      throw sqliteError('SQLITE_CORRUPT');
    });
    buffer.abandon();
    copying.mockRestore();
    const later = start();
    expect(later.buffer.losses.salvagedSamples).toBe(2);
    later.hear();
    expect(later.evicted()).toBe(0);
    later.pass(AGE_MAX_MS + 1);
    expect(later.evicted()).toBe(2);
    later.buffer.close();
  });

  test('sooner than allowed after the clock was in doubt for a while', () => {
    const agent = start();
    agent.hear();
    expect(agent.evicted()).toBe(0);
    agent.pass(6 * DAY_MS);
    agent.clock.ownMs += YEAR_MS;
    agent.append();
    agent.clock.ownMs -= YEAR_MS;
    expect(agent.evicted()).toBe(0);
    agent.pass(2 * DAY_MS);
    expect(agent.evicted()).toBe(0);
    agent.pass(5 * DAY_MS + 1);
    expect(agent.evicted()).toBe(1);
    agent.buffer.close();
  });
});

describe('what is too old is evicted', () => {
  test('while the hub is away for longer, as long as nobody sets the clock', () => {
    const agent = start();
    agent.hear();
    agent.append();
    agent.pass(AGE_MAX_MS);
    expect(agent.evicted()).toBe(0);
    agent.pass(1);
    expect(agent.evicted()).toBe(1);
    agent.buffer.close();
  });

  test('by its own date after a restart, once the hub was heard', () => {
    const first = start();
    first.hear();
    first.append();
    first.buffer.close();
    rightMs += AGE_MAX_MS + 1;
    const second = start();
    expect(second.evicted()).toBe(0);
    second.hear();
    expect(second.evicted()).toBe(1);
    second.buffer.close();
  });
});

test('a clock that is set back keeps nothing from being packed, nor an earlier process', () => {
  const first = start(YEAR_MS);
  first.append();
  first.buffer.close();
  const agent = start();
  agent.append();
  agent.clock.ownMs -= YEAR_MS;
  agent.pass(1000);
  agent.append();
  const { buffer, clock } = agent;
  const packable = (storedBefore: number) =>
    buffer.packable('', { samplesMax: 2, storedBefore, backlogEnd: 0 }).map(({ id }) => id);
  expect(packable(clock.elapsedMs() - 1001)).toEqual([]);
  expect(packable(clock.elapsedMs())).toEqual([1, 2]);
  expect(buffer.firstStoredAfter(clock.elapsedMs() - 1000)).toBe(3);
  expect(buffer.firstStoredAfter(clock.elapsedMs())).toBe(4);
  buffer.close();
});
