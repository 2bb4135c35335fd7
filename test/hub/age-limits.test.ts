import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AgeLimitOptions, AgeLimits } from '../../hub/age-limits.ts';
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

function open(options: Partial<AgeLimitOptions> = {}): AgeLimits {
  const log = { warn: (key: string) => void lines.push(key), error: () => {} };
  const none = { sampleAgeMaxMs: 0, sampleAheadMaxMs: 0, outOfOrderTimeWindowMs: 0 };
  return new AgeLimits({ ...none, ...options }, { store, clock, log });
}

/** As Cortex 1.21 says it. */
function outOfBounds(headMs: number): string {
  const [sample, head] = [headMs - 9 * HOUR_MS, headMs].map((ms) => new Date(ms).toISOString());
  const times = `timestamp=${sample}, tsdbHeadMaxTimestamp=${head}`;
  return `400 addr=[::1]:9095 desc = user=t: err: out of bounds. ${times}, series={__name__="up"}`;
}

describe('the oldest sample that a tenant takes', () => {
  test('is any, as long as the destination has refused none for its age', () => {
    const ages = open();
    ages.taken('a', clock.now());
    ages.refused('a', 'out_of_order', '');
    ages.refused('a', 'too_old', '');
    expect(ages.oldestAccepted('a')).toBeUndefined();
    expect(lines).toEqual([]);
  });

  test('is an hour behind the newest one once samples were out of bounds', () => {
    const ages = open();
    const newest = clock.now() - 5 * HOUR_MS;
    ages.taken('a', newest);
    ages.refused('a', 'out_of_bounds', '');
    ages.refused('a', 'out_of_bounds', '');
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
    ages.refused('a', 'too_old', '');
    expect(ages.oldestAccepted('a')).toBe(clock.now() - 3 * HOUR_MS);
  });

  test('is an hour behind what the destination says is its newest, seen by us or not', () => {
    const ages = open();
    ages.refused('a', 'out_of_bounds', outOfBounds(clock.now() - 1000));
    expect(ages.oldestAccepted('a')).toBe(clock.now() - 1000 - HOUR_MS);
    ages.refused('a', 'out_of_bounds', outOfBounds(clock.now() + 500));
    expect(ages.oldestAccepted('a')).toBe(clock.now() + 500 - HOUR_MS);
    ages.save();
    expect(open().oldestAccepted('a')).toBe(clock.now() + 500 - HOUR_MS);
  });

  test('falls again where the destination says that its newest sample is older', () => {
    const ages = open();
    ages.taken('a', clock.now());
    ages.refused('a', 'out_of_bounds', outOfBounds(clock.now() - 7 * HOUR_MS));
    expect(ages.oldestAccepted('a')).toBe(clock.now() - 8 * HOUR_MS);
  });

  test('goes by the declared window where the destination names its newest for that', () => {
    const ages = open({ outOfOrderTimeWindowMs: 3 * HOUR_MS });
    ages.refused(
      'a',
      'too_old',
      outOfBounds(clock.now()).replace(/out of bounds/, 'too old sample'),
    );
    expect(ages.oldestAccepted('a')).toBe(clock.now() - 3 * HOUR_MS);
  });

  test('does not rely on a newest sample that no clock has reached', () => {
    const ages = open({ sampleAheadMaxMs: HOUR_MS });
    ages.taken('a', clock.now());
    ages.taken('a', clock.now() + HOUR_MS + 1);
    ages.refused('a', 'out_of_bounds', outOfBounds(clock.now() + HOUR_MS + 1));
    expect(ages.oldestAccepted('a')).toBe(clock.now() - HOUR_MS);
    ages.taken('a', clock.now() + HOUR_MS);
    expect(ages.oldestAccepted('a')).toBe(clock.now());
  });

  test.each([
    [600_000, true],
    [600_001, false],
  ])('that was stored of %d ms ahead is known after a restart: %s', (aheadMs, isKnown) => {
    store.setTenantAges([{ tenant: 'a', newest: clock.now() + aheadMs, isBounded: true }]);
    const ages = open({ sampleAheadMaxMs: 0 });
    expect(ages.oldestAccepted('a')).toBe(isKnown ? clock.now() + aheadMs - HOUR_MS : undefined);
    expect(ages.boundedTenants).toEqual(['a']);
    ages.taken('a', clock.now());
    expect(ages.oldestAccepted('a')).toBe(clock.now() + (isKnown ? aheadMs : 0) - HOUR_MS);
  });

  test('is at most as old as the operator says', () => {
    const ages = open({ sampleAgeMaxMs: 1000 });
    expect(ages.oldestAccepted('a')).toBe(clock.now() - 1000);
    ages.taken('a', clock.now());
    ages.refused('a', 'out_of_bounds', '');
    expect(ages.oldestAccepted('a')).toBe(clock.now() - 1000);
  });

  test('is remembered over a restart', () => {
    const ages = open();
    ages.taken('a', clock.now());
    ages.refused('a', 'out_of_bounds', '');
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
