import { SamplesDecoder } from '../../../proto/codec/samples-decoder.ts';
import { SamplesEncoder } from '../../../proto/codec/samples-encoder.ts';
import { SampleColumns } from '../../../proto/sample-columns.ts';

export const IDS_MAX = 2 ** 32;

/** Uniform in [0, 1) from a seed: mulberry32. */
export function seededFloats(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomSeed(): number {
  return Math.floor(Math.random() * 2 ** 32);
}

/** Bits to and from doubles. */
export const scratchBits = new Uint32Array(2);
export const scratchDouble = new Float64Array(scratchBits.buffer);

export function pushDouble(to: SampleColumns, id: number, timestamp: number, value: number): void {
  scratchDouble[0] = value;
  to.push(id, timestamp, scratchBits[0]!, scratchBits[1]!);
}

export function columnsOf(...rows: readonly (readonly [number, number, number])[]): SampleColumns {
  const columns = new SampleColumns();
  for (const [id, timestamp, value] of rows) pushDouble(columns, id, timestamp, value);
  return columns;
}

/**
 * The first difference between two columns, undefined when each series has the same timestamps and
 * bits in the same order. The order between series is free.
 */
export function difference(expected: SampleColumns, actual: SampleColumns): string | undefined {
  if (expected.count !== actual.count) return `${expected.count} rows, not ${actual.count}`;
  const expectedRows = rowsBySeries(expected);
  const actualRows = rowsBySeries(actual);
  for (let at = 0; at < expected.count; at++) {
    const wanted = rowText(expected, expectedRows[at]!);
    const found = rowText(actual, actualRows[at]!);
    if (wanted !== found) return `${wanted} became ${found}`;
  }
  return undefined;
}

function rowsBySeries({ ids, count }: SampleColumns): Float64Array {
  // A series' rows stay in their order: the row is the lower part of the number sorted by.
  return Float64Array.from({ length: count }, (_, row) => ids[row]! * 2 ** 21 + row)
    .sort()
    .map((key) => key % 2 ** 21);
}

function rowText({ ids, timestamps, valueBits }: SampleColumns, row: number): string {
  const bits = `${valueBits[row * 2 + 1]!.toString(16)}:${valueBits[row * 2]!.toString(16)}`;
  // A timestamp of -0 would be another one.
  const timestamp = Object.is(timestamps[row], -0) ? '-0' : timestamps[row];
  return `series ${ids[row]} at ${timestamp}: ${bits}`;
}

/** Both ends of a stream. */
export class Stream {
  readonly encoder: SamplesEncoder;
  readonly decoder = new SamplesDecoder({ idsMax: IDS_MAX });
  readonly #decoded = new SampleColumns();
  bytes = 0;

  constructor(groupKeyOf: (id: number) => number = () => 0) {
    this.encoder = new SamplesEncoder(groupKeyOf);
  }

  /** The first difference that a batch has behind the stream. */
  pass(columns: SampleColumns): string | undefined {
    const section = this.encoder.encode(columns);
    this.bytes += section.length;
    this.#decoded.clear();
    this.decoder.decode(section, columns.count, this.#decoded);
    return difference(columns, this.#decoded);
  }
}
