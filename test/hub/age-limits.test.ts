import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AgeLimits } from '../../hub/age-limits.ts';
import { ClockOffset } from '../../hub/receive/clock-offset.ts';
import { HubStore } from '../../hub/store/hub-store.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import { InstantClock } from './write-fixture.ts';

const HOUR_MS = 3_600_000;

let workspace: Workspace;
let store: HubStore;
let clock: InstantClock;
let lines: string[];

beforeEach(() => {
  workspace = new Workspace('ages');
  store = new HubStore(workspace.subfolder('hub'), seededRandom('ages'));
  clock = new InstantClock();
  lines = [];
});
afterEach(async () => {
  store.close();
  await workspace.close();
});

function open(
  options: { sampleAgeMaxMs?: number; outOfOrderTimeWindowMs?: number } = {},
): AgeLimits {
  const log = { warn: (key: string) => void lines.push(key), error: () => {} };
  const none = { sampleAgeMaxMs: 0, outOfOrderTimeWindowMs: 0 };
  return new AgeLimits({ ...none, ...options }, { store, clock, log });
}

describe('the oldest sample that a tenant takes', () => {
  test('is any, as long as the destination has refused none for its age', () => {
    const ages = open();
    ages.taken('a', clock.now());
    ages.refused('a', 'out_of_order');
    ages.refused('a', 'too_old');
    expect(ages.oldestAccepted('a')).toBeUndefined();
    expect(lines).toEqual([]);
  });

  test('is an hour behind the newest one once samples were out of bounds', () => {
    const ages = open();
    const newest = clock.now() - 5 * HOUR_MS;
    ages.taken('a', newest);
    ages.refused('a', 'out_of_bounds');
    ages.refused('a', 'out_of_bounds');
    expect(ages.oldestAccepted('a')).toBe(newest - HOUR_MS);
    expect(ages.oldestAccepted('b')).toBeUndefined();
    ages.taken('a', newest + 1000);
    ages.taken('a', newest - 1000);
    expect(ages.oldestAccepted('a')).toBe(newest + 1000 - HOUR_MS);
    expect(ages.boundedTenants).toEqual(['a']);
    expect(lines).toEqual(['bounds a']);
  });

  test('is the declared window behind the newest one where that is longer', () => {
    const ages = open({ outOfOrderTimeWindowMs: 3 * HOUR_MS });
    ages.taken('a', clock.now());
    ages.refused('a', 'too_old');
    expect(ages.oldestAccepted('a')).toBe(clock.now() - 3 * HOUR_MS);
  });

  test('is at most as old as the operator says', () => {
    const ages = open({ sampleAgeMaxMs: 1000 });
    expect(ages.oldestAccepted('a')).toBe(clock.now() - 1000);
    ages.taken('a', clock.now());
    ages.refused('a', 'out_of_bounds');
    expect(ages.oldestAccepted('a')).toBe(clock.now() - 1000);
  });

  test('is remembered over a restart', () => {
    const ages = open();
    ages.taken('a', clock.now());
    ages.refused('a', 'out_of_bounds');
    ages.save();
    ages.taken('a', clock.now() + 500);
    ages.save();
    expect(open().oldestAccepted('a')).toBe(clock.now() + 500 - HOUR_MS);
  });
});

describe('the clock of an agent', () => {
  test('is taken to be as far behind as the quickest of its latest batches says', () => {
    const offset = new ClockOffset();
    expect(offset.hear(1000, 1200)).toBe(200);
    expect(offset.hear(2000, 42_000)).toBe(200);
    expect(offset.hear(43_000, 43_050)).toBe(50);
  });

  test('is believed when it was set, ten minutes later at the most', () => {
    const offset = new ClockOffset();
    expect(offset.hear(1000, 1050)).toBe(50);
    expect(offset.hear(2000, 62_000)).toBe(50);
    expect(offset.hear(542_000, 602_000)).toBe(60_000);
  });
});
