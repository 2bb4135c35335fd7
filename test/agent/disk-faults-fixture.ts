import { expect, vi } from 'vitest';
import type { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import { DamagedBufferError } from '../../agent/buffer/damage.ts';
import { openBuffer, rowsOf, samplesOf, seriesEntries, T0 } from './buffer-fixture.ts';

/** The error that SQLite's driver throws. */
export function sqliteError(code: string): Error {
  return Object.assign(new Error(`injected ${code}`), { code });
}

/** Does `work` while a method of a class throws. */
export function whileThrowing<T, Name extends keyof T>(
  prototype: T,
  name: Name,
  error: Error,
  work: () => void,
): void {
  const spy = vi.spyOn(prototype as Record<string, () => unknown>, String(name));
  spy.mockImplementation(() => {
    throw error;
  });
  try {
    work();
  } finally {
    spy.mockRestore();
  }
}

/** A buffer that looks at the free space with every append. */
export function openLooking(dataDir: string) {
  const opened = openBuffer(dataDir, 'one', { freeDiskBytesMin: 1 });
  const append = (at: number, id = 0) => {
    opened.clock.ms += 1000;
    return opened.buffer.append([{ tenant: 'a', columns: samplesOf(id, T0 + at) }]);
  };
  const newEntries = { firstId: 0, entries: seriesEntries('one', 'two') };
  opened.buffer.append([{ tenant: 'a', columns: samplesOf(0, T0), newEntries }]);
  return { ...opened, append };
}

/** Times of the samples that wait, from T0. */
export function timesIn(buffer: SampleBuffer): number[] {
  return rowsOf(buffer.read('a', 1000)).map(([, timestamp]) => timestamp! - T0);
}

/** Ends the life of a buffer as agent/worker.ts does; what the next one holds. */
export function timesOfNextLife(dataDir: string, buffer: SampleBuffer): number[] {
  expect(() => buffer.housekeep()).toThrow(DamagedBufferError);
  buffer.abandon();
  const { buffer: next } = openBuffer(dataDir, 'next', {}, buffer.losses);
  const times = timesIn(next);
  expect(next.losses.samples).toMatchObject({ damaged: 0, vanished: 0 });
  next.close();
  return times;
}
