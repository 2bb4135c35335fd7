import { cpSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { BufferOptions } from '../../agent/buffer/buffer.ts';
import { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import type { Answered } from '../../agent/buffer/buffer-tools.ts';
import type { Losses } from '../../agent/buffer/losses.ts';
import type { Clock } from '../../base/clock.ts';
import { encodeSeriesEntry } from '../../proto/dictionary-entry.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { decodeSegment } from '../../proto/segment.ts';
import { labelBytes } from '../hub/series-fixture.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { seededRandom } from '../tools/seeded-random.ts';

export const T0 = 1_800_000_000_000;

/** A clock that stands still until it is set. */
export class StillClock implements Clock {
  ms = T0;

  now(): number {
    return this.ms;
  }

  elapsedMs(): number {
    return this.ms;
  }

  sleep(): Promise<void> {
    throw new Error('nothing sleeps here');
  }
}

export interface OpenBuffer {
  buffer: SampleBuffer;
  clock: StillClock;
  lines: Record<string, unknown>[];
}

/**
 * Opens the buffer of `dataDir` as a new process would, or as the same one with its `losses`;
 * `seed` is what makes its run another.
 */
export function openBuffer(
  dataDir: string,
  seed: string,
  options: Partial<BufferOptions> = {},
  losses?: Losses,
  unforgotten: readonly Answered[] = [],
): OpenBuffer {
  const clock = new StillClock();
  // The hub confirms whatever the machine's clock says.
  const hubClock = { confirmed: () => ({ earliestMs: clock.now(), latestMs: clock.now() }) };
  const { log, lines } = memoryLog();
  const random = seededRandom(seed);
  const buffer = new SampleBuffer(
    {
      dataDir,
      bytesMax: 64 * 2 ** 20,
      parkedBytesMax: 16 * 2 ** 20,
      ageMaxMs: 0,
      whenFull: 'reject',
      freeDiskBytesMin: 0,
      ...options,
    },
    { clock, hubClock, random, log, unforgotten, ...(losses === undefined ? {} : { losses }) },
  );
  return { buffer, clock, lines };
}

/** What is on the disk at this moment, as after a power cut, while the buffer stays open. */
export function powerCut(dataDir: string): string {
  const copy = `${dataDir}-copy`;
  cpSync(dataDir, copy, { recursive: true });
  return copy;
}

/** A second connection, to damage what the buffer holds or to look at what is durable. */
export function openDatabase(dataDir: string): Database.Database {
  return new Database(join(dataDir, 'buffer.db'));
}

/** Entries for series `{__name__="<name>"}`. */
export function seriesEntries(...names: string[]): Uint8Array[] {
  return names.map((name) => encodeSeriesEntry('', labelBytes({ __name__: name })));
}

/** Columns of one sample per timestamp, all of series `id`; the bits are unlike any number's. */
export function samplesOf(id: number, ...timestamps: number[]): SampleColumns {
  const columns = new SampleColumns();
  for (const timestamp of timestamps) columns.push(id, timestamp, timestamp % 2 ** 32, 0x7ff00000);
  return columns;
}

/** Columns of incompressible values, so that a segment has about the size of its samples. */
export function noise(samples: number, seed: string): SampleColumns {
  const random = seededRandom(seed);
  const columns = new SampleColumns(samples);
  for (let row = 0; row < samples; row++) {
    const bits = random.id64();
    columns.push(0, T0, Number(BigInt.asUintN(32, bits)), Number(bits >> 32n));
  }
  return columns;
}

/** [id, timestamp, low half, high half] of every sample in the segments. */
export function rowsOf(segments: readonly { body: Uint8Array; samples: number }[]): number[][] {
  const columns = new SampleColumns();
  for (const { body, samples } of segments) decodeSegment(body, samples, columns);
  return Array.from({ length: columns.count }, (_, row) => [
    columns.ids[row]!,
    columns.timestamps[row]!,
    columns.valueBits[row * 2]!,
    columns.valueBits[row * 2 + 1]!,
  ]);
}
