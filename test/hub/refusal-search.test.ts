import { expect, test } from 'vitest';
import { RefusalSearch } from '../../hub/write/refusal-search.ts';
import { SearchTally } from '../../hub/write/search-tally.ts';
import { InstantClock } from './write-fixture.ts';

const MINUTE_MS = 60_000;
const sample = { seriesHash: 7, isExemplar: false, timestamp: 1000 };

async function searchAt(): Promise<{
  search: RefusalSearch;
  pass: (ms: number) => Promise<void>;
}> {
  const clock = new InstantClock();
  return { search: new RefusalSearch(60, clock), pass: (ms) => clock.sleep(ms) };
}

test('a series is suspected for ten minutes, and its exemplars are not', async () => {
  const { search, pass } = await searchAt();
  expect(search.hasSuspects('a')).toBe(false);
  search.refused('a', sample, 'invalid_series');
  expect(search.hasSuspects('a')).toBe(true);
  expect(search.hasSuspects('b')).toBe(false);
  expect(search.isSuspect('a', { ...sample, timestamp: 9000 })).toBe(true);
  expect(search.isSuspect('a', { ...sample, isExemplar: true })).toBe(false);
  await pass(10 * MINUTE_MS + 1);
  expect(search.isSuspect('a', sample)).toBe(false);
  expect(search.hasSuspects('a')).toBe(false);
});

test('what is as old as a sample that was refused for its age is suspected, of any series', async () => {
  const { search, pass } = await searchAt();
  search.refused('a', sample, 'out_of_bounds');
  const other = { ...sample, seriesHash: 8 };
  expect(search.isSuspect('a', other)).toBe(true);
  expect(search.isSuspect('a', { ...other, timestamp: 1001 })).toBe(false);
  search.taken('a', other);
  expect(search.isSuspect('a', sample)).toBe(false);
  search.refused('a', sample, 'too_old');
  await pass(10 * MINUTE_MS + 1);
  expect(search.isSuspect('a', sample)).toBe(false);
});

test('at most 10,000 series of a tenant are remembered, the latest', async () => {
  const { search } = await searchAt();
  for (let seriesHash = 0; seriesHash <= 10_000; seriesHash++) {
    search.refused('a', { ...sample, seriesHash }, 'series_limit');
  }
  expect(search.isSuspect('a', { ...sample, seriesHash: 0 })).toBe(false);
  expect(search.isSuspect('a', { ...sample, seriesHash: 1 })).toBe(true);
});

test('the budget of a minute is for each tenant, grows back, and can be left in part', async () => {
  const { search, pass } = await searchAt();
  expect(search.take('a', 31, 0.5)).toBe(false);
  expect(search.take('a', 30, 0.5)).toBe(true);
  expect(search.take('a', 31, 0)).toBe(false);
  expect(search.take('a', 30, 0)).toBe(true);
  expect(search.take('b', 60, 0)).toBe(true);
  await pass(MINUTE_MS / 2);
  expect(search.take('a', 31, 0)).toBe(false);
  expect(search.take('a', 30, 0)).toBe(true);
});

test('most parts are guilty once four single samples and three quarters of all parts were', () => {
  const tally = new SearchTally();
  const guilty = { kind: 'partial', reason: 'other', message: '', written: undefined } as const;
  for (let row = 0; row < 3; row++) tally.note({ from: row, to: row + 1 }, guilty);
  expect(tally.isMostGuilty).toBe(false);
  tally.note({ from: 3, to: 4 }, guilty);
  expect(tally.isMostGuilty).toBe(true);
  tally.note({ from: 4, to: 5 }, { kind: 'accepted' });
  tally.note({ from: 5, to: 6 }, { kind: 'accepted' });
  expect(tally.isMostGuilty).toBe(false);
  expect([tally.durationMs(1000), tally.durationMs(6001)]).toEqual([0, 5001]);
});
