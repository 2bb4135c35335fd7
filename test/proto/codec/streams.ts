import { expect } from 'vitest';
import { SamplesDecoder } from '../../../proto/codec/samples-decoder.ts';
import { SamplesEncoder } from '../../../proto/codec/samples-encoder.ts';
import { SampleColumns } from '../../../proto/sample-columns.ts';

/** More ids than any test uses. */
export const IDS_MAX = 2 ** 32;

/** Series of one hundred ids share a target. */
export const targetOf = (id: number): number => Math.floor(id / 100);

/**
 * Samples in an order in which two columns are equal when each series has the same samples in the
 * same order: rows sorted by id, those of one id as they came.
 */
function bySeries({ ids, count }: SampleColumns): number[] {
  return Array.from({ length: count }, (_, row) => row).sort(
    (one, other) => ids[one]! - ids[other]! || one - other,
  );
}

/** The first row at which two columns differ, series by series; undefined when none does. */
export function firstDifference(expected: SampleColumns, found: SampleColumns): string | undefined {
  if (expected.count !== found.count) return `${found.count} of ${expected.count} samples`;
  const rows = bySeries(expected);
  const foundRows = bySeries(found);
  const at = rows.findIndex((row, place) => !isEqual(expected, row, found, foundRows[place]!));
  return at < 0 ? undefined : `${show(expected, rows[at]!)} became ${show(found, foundRows[at]!)}`;
}

function isEqual(one: SampleColumns, row: number, other: SampleColumns, otherRow: number): boolean {
  return (
    one.ids[row] === other.ids[otherRow] &&
    one.timestamps[row] === other.timestamps[otherRow] &&
    one.valueBits[row * 2] === other.valueBits[otherRow * 2] &&
    one.valueBits[row * 2 + 1] === other.valueBits[otherRow * 2 + 1]
  );
}

function show({ ids, timestamps, valueBits }: SampleColumns, row: number): string {
  const bits = (BigInt(valueBits[row * 2 + 1]!) << 32n) | BigInt(valueBits[row * 2]!);
  return `${ids[row]} @${timestamps[row]} ${bits.toString(16)}`;
}

/** Both ends of one stream. */
export class TestStream {
  readonly encoder = new SamplesEncoder(targetOf);
  readonly decoder = new SamplesDecoder({ idsMax: IDS_MAX });
  bytes = 0;

  /** Passes a batch through both ends; fails unless every bit of it arrives. */
  pass(columns: SampleColumns): void {
    const section = this.encoder.encode(columns);
    this.bytes += section.length;
    const found = new SampleColumns();
    this.decoder.decode(section, columns.count, found);
    expect(firstDifference(columns, found)).toBeUndefined();
  }
}

/** Columns of rows [id, timestamp, value]; a value is a double or 64 bits. */
export function columnsOf(
  rows: Iterable<readonly [number, number, number | bigint]>,
): SampleColumns {
  const columns = new SampleColumns();
  for (const [id, timestamp, value] of rows) {
    const bits = typeof value === 'bigint' ? value : bitsOf(value);
    columns.push(id, timestamp, Number(bits & 0xffffffffn), Number(bits >> 32n));
  }
  return columns;
}

/** The bits of a double; not for NaN, whose payload a double need not keep. */
export function bitsOf(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}
