import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatDuration,
  formatSize,
  formatTime,
  parseDuration,
  parseSize,
} from '../../base/units.ts';

describe('a duration', () => {
  test.each([
    ['0', 0],
    ['0s', 0],
    ['250ms', 250],
    ['15s', 15_000],
    ['1h30m', 5_400_000],
    ['1d', 86_400_000],
    ['1w', 604_800_000],
    ['1y2d', 31_708_800_000],
    ['1m1ms', 60_001],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(['', '5', '-1s', '1.5s', '1s1m', '1s1s', '1 s', '5S', 's', '9999999999999y'])(
    '"%s" is refused',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  test('survives being written and read again', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 45 }), (ms) => parseDuration(formatDuration(ms)) === ms),
    );
  });
});

describe('a size', () => {
  test.each([
    ['0', 0],
    ['1024', 1024],
    ['17B', 17],
    ['512KiB', 524_288],
    ['20kB', 20_000],
    ['20KB', 20_000],
    ['1MB', 1_000_000],
    ['10 GiB', 10_737_418_240],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(['', '-1', '1.5MiB', '1M', '1mb', '1kiB', '1 KiB ', 'KiB', '1iB', '9999999TiB'])(
    '"%s" is refused',
    (text) => {
      expect(parseSize(text)).toBeUndefined();
    },
  );

  test('survives being written and read again', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseSize(formatSize(bytes)) === bytes));
    expect(formatSize(32 * 1024 * 1024)).toBe('32MiB');
  });
});

test('a time is written for people, also where no date can be', () => {
  expect(formatTime(1_700_000_000_123)).toBe('2023-11-14T22:13:20.123Z');
  expect(formatTime(2 ** 53)).toBe('9007199254740992 ms');
  expect(formatTime(-(2 ** 53))).toBe('-9007199254740992 ms');
});
