import { expect, test } from 'vitest';
import { formatRetryAfter, parseRetryAfter } from '../../base/retry-after.ts';

const nowMs = Date.UTC(1994, 10, 6, 8, 49, 7);

test.each([
  ['30', 30_000],
  [' 0 ', 0],
  ['Sun, 06 Nov 1994 08:49:37 GMT', 30_000],
  ['Sunday, 06-Nov-94 08:49:37 GMT', 30_000],
  ['Sun Nov  6 08:49:37 1994', 30_000],
])('"%s" is understood', (header, ms) => {
  expect(parseRetryAfter(header, nowMs)).toBe(ms);
});

test.each([
  undefined,
  '',
  '-5',
  '1.5',
  'soon',
  '2026-01-01',
  'Sun, 06 Nov 1994 08:49:00 GMT',
  'Sun',
])('"%s" leaves the wait to the caller', (header) => {
  expect(parseRetryAfter(header, nowMs)).toBeUndefined();
});

test('more than an hour is taken for an hour', () => {
  expect(parseRetryAfter('99999999999999999999', nowMs)).toBe(3_600_000);
  expect(parseRetryAfter('Sun, 06 Nov 2094 08:49:37 GMT', nowMs)).toBe(3_600_000);
});

test('a wait is announced in whole seconds, rounded up', () => {
  expect([0, 1, 1000, 1001].map(formatRetryAfter)).toEqual(['1', '1', '1', '2']);
});
