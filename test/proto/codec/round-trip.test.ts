import { describe, expect, it } from 'vitest';
import { nodeMix15s, readCapture } from '../../../bench/capture.ts';
import { capturedBatches, capturedGroupKeys } from '../../../bench/captured-batches.ts';
import { CapturedSamples } from '../../../bench/captured-samples.ts';
import { SampleColumns } from '../../../proto/sample-columns.ts';
import {
  columnsOf,
  pushDouble,
  randomSeed,
  Stream,
  scratchBits,
  seededFloats,
} from './codec-fixture.ts';
import { MOVES } from './value-kinds.ts';

const T0 = 1_790_000_000_000;
const TIMESTAMP_MAX = 2 ** 53;

describe('the capture', () => {
  const samples = new CapturedSamples(readCapture(nodeMix15s));
  const groupKeys = capturedGroupKeys(samples);

  it('comes out bit for bit and takes at most 0.23 B a sample in its second half', () => {
    const stream = new Stream((id) => groupKeys[id]!);
    const batches = capturedBatches(samples, 5000);
    let secondHalfBytes = 0;
    let secondHalfCount = 0;
    batches.forEach((columns, index) => {
      const bytesBefore = stream.bytes;
      expect(stream.pass(columns)).toBeUndefined();
      if (index < batches.length >> 1) return;
      secondHalfBytes += stream.bytes - bytesBefore;
      secondHalfCount += columns.count;
    });
    expect(secondHalfBytes / secondHalfCount).toBeLessThan(0.23);
    expect(stream.bytes / samples.columns.count).toBeLessThan(0.25);
  });

  it('comes out bit for bit as one pack', () => {
    const stream = new Stream((id) => groupKeys[id]!);
    expect(stream.pass(samples.columns)).toBeUndefined();
  });

  it('spends at most 0.3 B a series on groups and members', () => {
    const columns = capturedBatches(samples, 60_000)[0]!;
    // The second time only the groups and members are missing.
    const withMembers = zeroed(columns);
    const first = new Stream((id) => groupKeys[id]!);
    expect(first.pass(withMembers)).toBeUndefined();
    const bytes = first.bytes;
    expect(first.pass(withMembers)).toBeUndefined();
    const series = new Set(columns.ids.subarray(0, columns.count)).size;
    expect((bytes - (first.bytes - bytes)) / series).toBeLessThan(0.3);
  });
});

function zeroed(columns: SampleColumns): SampleColumns {
  const zeros = new SampleColumns();
  zeros.appendRows(columns);
  zeros.valueBits.fill(0);
  return zeros;
}

describe.each(Object.entries(MOVES))('values of the kind "%s"', (_kind, move) => {
  it('come out bit for bit', () => {
    const seed = randomSeed();
    console.log(`seed ${seed}`);
    const random = seededFloats(seed);
    const stream = new Stream();
    const values = new Uint32Array(400);
    for (let scrape = 0; scrape < 50; scrape++) {
      const columns = new SampleColumns();
      for (let series = 0; series < 200; series++) {
        scratchBits.set(values.subarray(series * 2, series * 2 + 2));
        move(random);
        values.set(scratchBits, series * 2);
        columns.push(series, T0 + scrape * 15_000, scratchBits[0]!, scratchBits[1]!);
      }
      expect(stream.pass(columns)).toBeUndefined();
    }
  });
});

describe('series', () => {
  it('of a histogram with many buckets share their deltas: under 0.3 B a sample', () => {
    const random = seededFloats(1);
    const stream = new Stream();
    const buckets = new Array<number>(100).fill(0);
    let count = 0;
    for (let scrape = 0; scrape < 100; scrape++) {
      const observed = Math.floor(random() * 100);
      const columns = new SampleColumns();
      buckets.forEach((bucket, le) => {
        buckets[le] = bucket + (le >= observed ? 17 : 0);
        pushDouble(columns, le, T0 + scrape * 15_000, buckets[le]!);
      });
      count += columns.count;
      expect(stream.pass(columns)).toBeUndefined();
    }
    expect(stream.bytes / count).toBeLessThan(0.3);
  });

  it('come and go: 300 of 1000 change with every scrape', () => {
    const stream = new Stream((id) => id % 3);
    for (let scrape = 0; scrape < 30; scrape++) {
      const columns = new SampleColumns();
      for (let n = 0; n < 1000; n++) {
        pushDouble(columns, scrape * 300 + n, T0 + scrape * 15_000, n * scrape);
      }
      expect(stream.pass(columns)).toBeUndefined();
    }
  });

  it('may be 100,000 with ids far apart', () => {
    const stream = new Stream((id) => id % 50);
    for (let scrape = 0; scrape < 2; scrape++) {
      const columns = new SampleColumns();
      for (let n = 0; n < 100_000; n++) {
        pushDouble(columns, Math.imul(n, 0x9e3779b1) >>> 0, T0 + scrape * 15_000, n + scrape);
      }
      expect(stream.pass(columns)).toBeUndefined();
    }
  });

  it('with timestamps of their own take time in proportion to their samples', () => {
    const stream = new Stream();
    for (let scrape = 0; scrape < 3; scrape++) {
      const columns = new SampleColumns();
      // One group: all are first seen at the same time.
      for (let n = 0; n < 50_000; n++) {
        pushDouble(columns, n, T0 + scrape * 15_000 + (scrape > 0 ? n : 0), n);
      }
      expect(stream.pass(columns)).toBeUndefined();
    }
  }, 10_000);

  it('that were split by the end of a batch belong together', () => {
    const stream = new Stream();
    const part = (scrape: number, from: number, to: number) => {
      const columns = new SampleColumns();
      for (let id = from; id < to; id++) pushDouble(columns, id, T0 + scrape * 15_000, 1);
      return columns;
    };
    for (let scrape = 0; scrape < 20; scrape++) {
      expect(stream.pass(part(scrape, 0, 600))).toBeUndefined();
      expect(stream.pass(part(scrape, 600, 1000))).toBeUndefined();
    }
    const bytesBefore = stream.bytes;
    expect(stream.pass(part(20, 0, 600))).toBeUndefined();
    expect(stream.pass(part(20, 600, 1000))).toBeUndefined();
    // The samples that have not come yet are one run each time.
    expect(stream.bytes - bytesBefore).toBeLessThan(20);
  });
});

describe('timestamps', () => {
  it('may be the ends of the range in any order', () => {
    const stream = new Stream();
    const ends = [TIMESTAMP_MAX, -TIMESTAMP_MAX, 1 - TIMESTAMP_MAX, TIMESTAMP_MAX - 1, 0, 1, -1];
    for (const a of ends) {
      for (const b of ends) {
        const rows = [a, b, a, a, b].map((timestamp, n) => [n % 2, timestamp, n] as const);
        expect(stream.pass(columnsOf(...rows))).toBeUndefined();
      }
    }
  });

  it('may repeat, go back and be irregular, in one batch and over many', () => {
    const seed = randomSeed();
    console.log(`seed ${seed}`);
    const random = seededFloats(seed);
    const stream = new Stream((id) => id % 2);
    for (let batch = 0; batch < 200; batch++) {
      const columns = new SampleColumns();
      for (let row = 0; row < 60; row++) {
        const id = Math.floor(random() * 6);
        pushDouble(columns, id, T0 + Math.floor(random() * 8) * 1000, Math.floor(random() * 4));
      }
      expect(stream.pass(columns)).toBeUndefined();
    }
  });
});

describe('a batch', () => {
  it('may hold nothing', () => {
    const stream = new Stream();
    expect(stream.pass(new SampleColumns())).toBeUndefined();
    expect(stream.pass(columnsOf([7, T0, 1]))).toBeUndefined();
    expect(stream.pass(new SampleColumns())).toBeUndefined();
    expect(stream.pass(columnsOf([7, T0 + 1, 1]))).toBeUndefined();
  });

  it('gives samples of several timestamps, series by series, a block for each timestamp', () => {
    const stream = new Stream();
    const columns = new SampleColumns();
    for (let id = 0; id < 100; id++) {
      for (let scrape = 0; scrape < 20; scrape++) pushDouble(columns, id, T0 + scrape * 15_000, 1);
    }
    expect(stream.pass(columns)).toBeUndefined();
    expect(stream.bytes).toBeLessThan(150);
  });
});

it('asks for the group of a series once', () => {
  const asked: number[] = [];
  const stream = new Stream((id) => {
    asked.push(id);
    return 0;
  });
  for (let scrape = 0; scrape < 3; scrape++) {
    stream.pass(columnsOf([5, T0 + scrape, 1], [9, T0 + scrape, 2]));
  }
  expect(asked).toEqual([5, 9]);
});

it('carries a stale marker as it is and expects no sample of the series behind it', () => {
  const stream = new Stream();
  for (let scrape = 0; scrape < 3; scrape++) {
    const columns = columnsOf([1, T0 + scrape * 1000, 5]);
    if (scrape === 1) columns.push(2, T0 + 1000, 2, 0x7ff00000);
    else if (scrape === 0) pushDouble(columns, 2, T0, 4);
    expect(stream.pass(columns)).toBeUndefined();
  }
});
