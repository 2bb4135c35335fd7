import { describe, expect, test } from 'vitest';
import { nodeMix15s, readCapture } from '../../../bench/capture.ts';
import { capturedBatches, capturedGroupKeys } from '../../../bench/captured-batches.ts';
import { CapturedSamples } from '../../../bench/captured-samples.ts';
import { SamplesDecoder } from '../../../proto/codec/samples-decoder.ts';
import { SamplesEncoder } from '../../../proto/codec/samples-encoder.ts';
import { SampleColumns } from '../../../proto/sample-columns.ts';
import { seededRandom, seedOfRun } from '../../tools/seeded-random.ts';
import { KINDS, ODD_VALUES, whole } from './kinds.ts';
import { columnsOf, firstDifference, TestStream } from './streams.ts';

const SCRAPE_MS = 15_000;
const START_MS = 1_800_000_000_000;

describe('what comes out of a stream is what went in, bit for bit', () => {
  test('twenty minutes of real traffic, at 0.25 bytes a sample and 0.23 once it is known', () => {
    const samples = new CapturedSamples(readCapture(nodeMix15s));
    const groupKeys = capturedGroupKeys(samples);
    const encoder = new SamplesEncoder((id) => groupKeys[id]!);
    const decoder = new SamplesDecoder({ idsMax: groupKeys.length });
    const batches = capturedBatches(samples, 5000);
    const sizes = batches.map((columns) => {
      const section = encoder.encode(columns);
      const found = new SampleColumns();
      decoder.decode(section, columns.count, found);
      expect(firstDifference(columns, found)).toBeUndefined();
      return { bytes: section.length, samples: columns.count };
    });
    const perSample = (part: typeof sizes) =>
      part.reduce((sum, { bytes }) => sum + bytes, 0) /
      part.reduce((sum, each) => sum + each.samples, 0);
    expect(sizes.reduce((sum, each) => sum + each.samples, 0)).toBe(532_777);
    expect(perSample(sizes)).toBeLessThan(0.25);
    expect(perSample(sizes.slice(sizes.length >> 1))).toBeLessThan(0.23);
  });

  test.each(Object.entries(KINDS))('a series of the kind: %s', (_name, kind) => {
    const random = seededRandom(seedOfRun());
    const sources = Array.from({ length: 30 }, () => kind(random));
    const stream = new TestStream();
    for (let scrape = 0; scrape < 60; scrape++) {
      const at = START_MS + scrape * SCRAPE_MS;
      stream.pass(columnsOf(sources.map((next, id) => [id, at, next()])));
    }
  });

  test('every odd value before and behind every other', () => {
    const stream = new TestStream();
    let at = 0;
    for (const one of ODD_VALUES) {
      for (const other of ODD_VALUES) {
        stream.pass(columnsOf([[1, at++, one]]));
        stream.pass(columnsOf([[1, at++, other]]));
      }
    }
  });

  test('histograms whose buckets move together', () => {
    const random = seededRandom(seedOfRun());
    const buckets = new Float64Array(200);
    const stream = new TestStream();
    for (let scrape = 0; scrape < 50; scrape++) {
      const from = whole(random, buckets.length);
      const added = whole(random, 100);
      for (let bucket = from; bucket < buckets.length; bucket++) buckets[bucket]! += added;
      const at = START_MS + scrape * SCRAPE_MS;
      stream.pass(columnsOf(Array.from(buckets, (value, id) => [id, at, value])));
    }
  });

  test('timestamps that are irregular, repeated, backward and as far as ±2^53', () => {
    const random = seededRandom(seedOfRun());
    const far = [2 ** 53, -(2 ** 53), 0, 1, -1, 2 ** 53 - 1, 2 ** 52, -(2 ** 51)];
    const stream = new TestStream();
    for (let batch = 0; batch < 200; batch++) {
      const rows = Array.from({ length: 40 }, (): [number, number, number] => {
        const at =
          random.float() < 0.3
            ? far[whole(random, far.length)]!
            : START_MS + whole(random, 20) * 7 - whole(random, 20) * 1000;
        return [whole(random, 12), at, whole(random, 5)];
      });
      stream.pass(columnsOf(rows));
    }
  });

  test('series that come and go, in batches of any size', () => {
    const random = seededRandom(seedOfRun());
    const stream = new TestStream();
    let firstAlive = 0;
    for (let scrape = 0; scrape < 200; scrape++) {
      firstAlive += whole(random, 20);
      const at = START_MS + scrape * SCRAPE_MS;
      const rows: [number, number, number][] = [];
      for (let id = firstAlive; id < firstAlive + 300; id++) {
        if (random.float() < 0.9) rows.push([id, at, whole(random, 3)]);
      }
      const cut = whole(random, rows.length);
      stream.pass(columnsOf(rows.slice(0, cut)));
      stream.pass(columnsOf(rows.slice(cut)));
    }
  });

  test('a hundred thousand series, and ids up to 2^32 - 1', () => {
    const stream = new TestStream();
    for (let scrape = 0; scrape < 3; scrape++) {
      const at = START_MS + scrape * SCRAPE_MS;
      const columns = new SampleColumns(100_000);
      for (let id = 0; id < 100_000; id++) columns.push(id, at, id % 7, 0x3ff00000);
      stream.pass(columns);
    }
    stream.pass(columnsOf([[2 ** 32 - 1, START_MS, 1]]));
  });

  test('an empty batch', () => {
    const stream = new TestStream();
    stream.pass(columnsOf([]));
    stream.pass(columnsOf([[1, 1, 1]]));
    stream.pass(columnsOf([]));
    stream.pass(columnsOf([[1, 2, 1]]));
  });
});
