import { SampleColumns } from '../../../proto/sample-columns.ts';
import { Stream, scratchBits, seededFloats } from './codec-fixture.ts';
import { MOVES } from './value-kinds.ts';

const SERIES = 1000;
const ROWS_MAX = 4000;
const STREAM_BATCHES = 40;
const TIMESTAMP_MAX = 2 ** 53;
const moves = Object.values(MOVES);

/**
 * Passes `values` random values through streams; throws at the first difference.
 * Series change their kind now and then, miss, repeat and jump in time.
 */
export function fuzz(seed: number, values: number): void {
  const random = seededFloats(seed);
  let stream = new Stream((id) => id % 7);
  let passed = 0;
  const valueBits = new Uint32Array(SERIES * 2);
  for (let batch = 0; passed < values; batch++) {
    if (batch % STREAM_BATCHES === 0) stream = new Stream((id) => id % 7);
    const columns = randomBatch(random, valueBits);
    const found = stream.pass(columns);
    if (found !== undefined) throw new Error(`seed ${seed}, batch ${batch}: ${found}`);
    passed += columns.count;
  }
}

function randomBatch(random: () => number, valueBits: Uint32Array): SampleColumns {
  const columns = new SampleColumns();
  const rows = 1 + Math.floor(random() * ROWS_MAX);
  let timestamp = Math.floor(1.7e12 + random() * 1e9);
  let series = Math.floor(random() * SERIES);
  const stray = random() < 0.3 ? 0.2 : 0.002;
  while (columns.count < rows) {
    if (random() < stray) timestamp = strayTimestamp(random, timestamp);
    series = (random() < stray ? Math.floor(random() * SERIES) : series + 1) % SERIES;
    moveValue(random, series, valueBits);
    const id = Math.imul(series, 0x01000193) >>> 0;
    columns.push(id, timestamp, valueBits[series * 2]!, valueBits[series * 2 + 1]!);
  }
  return columns;
}

function strayTimestamp(random: () => number, timestamp: number): number {
  const choice = random();
  if (choice < 0.5) return timestamp + 15_000;
  if (choice < 0.8) return timestamp + Math.floor((random() - 0.5) * 1e6);
  if (choice < 0.9) return Math.round((random() * 2 - 1) * TIMESTAMP_MAX);
  return Math.floor(1.7e12 + random() * 1e9);
}

function moveValue(random: () => number, series: number, valueBits: Uint32Array): void {
  if (random() < 0.4) return;
  scratchBits[0] = valueBits[series * 2]!;
  scratchBits[1] = valueBits[series * 2 + 1]!;
  const kind = random() < 0.05 ? Math.floor(random() * moves.length) : series % moves.length;
  moves[kind]!(random);
  valueBits[series * 2] = scratchBits[0]!;
  valueBits[series * 2 + 1] = scratchBits[1]!;
}
