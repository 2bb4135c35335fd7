import type { Random } from '../../../base/random.ts';
import { SampleColumns } from '../../../proto/sample-columns.ts';
import { KINDS, type Source, whole } from './kinds.ts';
import { bitsOf, TestStream } from './streams.ts';

const SERIES_MAX = 400;
const BATCHES_PER_STREAM = 40;

/** Passes about `values` random samples through streams of random shape, comparing every bit. */
export function fuzz(random: Random, values: number): void {
  let passed = 0;
  while (passed < values) {
    const stream = new TestStream();
    const sources = randomSources(random);
    let at = whole(random, 2e12) - 1e12;
    for (let batch = 0; batch < BATCHES_PER_STREAM && passed < values; batch++) {
      const columns = randomBatch(random, sources, at);
      stream.pass(columns);
      passed += columns.count;
      at += 15_000 + (random.float() < 0.1 ? whole(random, 100_000) - 50_000 : 0);
    }
  }
}

function randomSources(random: Random): Source[] {
  const kinds = Object.values(KINDS);
  const single = random.float() < 0.3 ? kinds[whole(random, kinds.length)] : undefined;
  return Array.from({ length: 1 + whole(random, SERIES_MAX) }, () =>
    (single ?? kinds[whole(random, kinds.length)]!)(random),
  );
}

/** Some scrapes of some series, in order or not, some of them twice. */
function randomBatch(random: Random, sources: Source[], at: number): SampleColumns {
  const columns = new SampleColumns();
  const present = random.float() < 0.5 ? 1 : random.float();
  const shuffled = random.float() < 0.1;
  for (let scrape = 0; scrape <= whole(random, 3); scrape++) {
    for (let place = 0; place < sources.length; place++) {
      if (random.float() >= present) continue;
      const id = shuffled ? whole(random, sources.length) : place;
      const value = sources[id]!();
      const bits = typeof value === 'bigint' ? value : bitsOf(value);
      const timestamp = at + scrape * 5000 - (random.float() < 0.01 ? whole(random, 9000) : 0);
      columns.push(id, timestamp, Number(bits & 0xffffffffn), Number(bits >> 32n));
    }
  }
  return columns;
}
