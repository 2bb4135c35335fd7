import { beforeEach, describe, expect, test } from 'vitest';
import { PackWindow } from '../../agent/ship/pack-window.ts';
import { StillClock, T0 } from './buffer-fixture.ts';

const KB = 1000;

let clock: StillClock;
let window: PackWindow;

beforeEach(() => {
  clock = new StillClock();
  window = new PackWindow(clock);
});

/** A pack of a minute. */
const pack = (bytes: number, minute = 0) => ({
  bytes,
  oldest: T0 + minute * 60_000,
  newest: T0 + (minute + 1) * 60_000,
});

/** Starts packs of so many bytes as long as there is room; says how many. */
function fill(from: number, bytes: number, atOnce = 1): number {
  let sequence = from;
  for (; window.hasRoom(sequence, pack(bytes), atOnce); sequence++)
    window.add(sequence, pack(bytes));
  return sequence - from;
}

/** The first pack of a row is answered for after so long. */
function open(bytes: number, afterMs: number): void {
  window.add(0, pack(bytes));
  clock.ms += afterMs;
  window.answered(pack(bytes));
  window.remove(0);
}

describe('the window of a row of packs', () => {
  test('lets the first go alone, whatever its size', () => {
    expect(window.hasRoom(0, pack(1e9), 1)).toBe(true);
    window.add(0, pack(1));
    expect(window.hasRoom(1, pack(1), 1)).toBe(false);
  });

  test('has room for what goes through in ten seconds', () => {
    open(100 * KB, 5000);
    expect(fill(1, 50 * KB)).toBe(4);
  });

  test('has room for one pack on the slowest link', () => {
    open(100 * KB, 60_000);
    expect(fill(1, 100 * KB)).toBe(1);
  });

  test('has room for several at once where they are to share the link', () => {
    open(100 * KB, 60_000);
    expect(fill(1, 100 * KB, 3)).toBe(3);
  });

  test('lets the first go alone even there', () => {
    window.add(0, pack(1));
    expect(window.hasRoom(1, pack(1), 3)).toBe(false);
  });

  test('has room for eight packs on the fastest link', () => {
    open(100 * KB, 1);
    expect(fill(1, 100 * KB)).toBe(8);
  });

  test('spans at most half an hour', () => {
    open(100 * KB, 1);
    window.add(1, pack(KB, 0));
    expect(window.hasRoom(2, pack(KB, 29), 1)).toBe(true);
    expect(window.hasRoom(2, pack(KB, 30), 1)).toBe(false);
    window.remove(1);
    expect(window.hasRoom(2, pack(KB, 30), 1)).toBe(true);
  });

  test('does not go so far ahead of the oldest that the hub forgets the answer to it', () => {
    open(100 * KB, 1);
    window.add(1, pack(KB));
    for (let sequence = 2; sequence <= 32; sequence++) {
      expect(window.hasRoom(sequence, pack(KB), 1)).toBe(true);
      window.add(sequence, pack(KB));
      window.remove(sequence);
    }
    expect(window.hasRoom(33, pack(KB), 1)).toBe(false);
    window.remove(1);
    expect(window.hasRoom(33, pack(KB), 1)).toBe(true);
  });

  test('is open again soon after an outage', () => {
    open(100 * KB, 1000);
    window.add(1, pack(100 * KB));
    clock.ms += 3_600_000;
    window.answered(pack(100 * KB));
    window.remove(1);
    expect(fill(2, 100 * KB)).toBe(1);
    for (let second = 0; second < 60; second++) {
      clock.ms += 1000;
      window.answered(pack(100 * KB));
    }
    window.remove(2);
    expect(fill(3, 100 * KB)).toBeGreaterThanOrEqual(4);
  });

  test('is not confused by a clock that is set back', () => {
    open(100 * KB, 1000);
    clock.ms -= 3_600_000;
    expect(fill(1, 100 * KB)).toBe(8);
    clock.ms += 1000;
    expect(window.hasRoom(9, pack(KB), 1)).toBe(false);
  });
});
