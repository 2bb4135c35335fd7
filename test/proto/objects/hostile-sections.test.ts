import { describe, expect, test } from 'vitest';
import { DecodeError } from '../../../proto/bytes.ts';
import { HISTOGRAM_BYTES_MAX } from '../../../proto/objects/histogram.ts';
import { type RowObject, SampleColumns } from '../../../proto/sample-columns.ts';
import { sampleFormats } from '../../../proto/sample-format.ts';
import { field } from '../wire-fixture.ts';
import { histogramBytes, rowsBySeries } from './columns-fixture.ts';

const format = sampleFormats.get(3)!;
const empty = new Uint8Array(0);

function columnsOf(...objects: Omit<RowObject, 'row'>[]): SampleColumns {
  const columns = new SampleColumns();
  for (const [row, object] of objects.entries()) {
    columns.push(0, row, 0, 0);
    columns.objects.push({ row, ...object });
  }
  return columns;
}

const histogram = (layout: Iterable<number>, counts: Iterable<number>): Omit<RowObject, 'row'> => ({
  kind: 'histogram',
  layout: Uint8Array.from(layout),
  bytes: Uint8Array.from(counts),
});
const exemplar = (...bytes: number[]): Omit<RowObject, 'row'> => ({
  kind: 'exemplar',
  bytes: Uint8Array.from(bytes),
});

describe('a section is refused where its objects are such as no agent sends', () => {
  test.each([
    ['counts that are cut off', histogram(empty, [0x08])],
    ['a layout that is cut off', histogram([0x20], empty)],
    ['a group without an end', histogram(empty, [0xf3, 0x01])],
    ['a timestamp among the fields', histogram(empty, [0x78, 1])],
    ['a start timestamp among the fields', histogram(empty, [0x88, 0x01, 1])],
    ['labels that are cut off', exemplar(0x0a, 5)],
    ['a value that is no double', exemplar(0x10, 1)],
  ])('%s', (_, object) => {
    const section = format.createEncoder(() => 0).encode(columnsOf(object));
    const decoder = format.createDecoder(1);
    const into = new SampleColumns();
    expect(() => decoder.decode(section, 1, into)).toThrow(DecodeError);
    expect([into.count, into.objects]).toEqual([0, []]);
    const good = columnsOf({ kind: 'histogram', bytes: histogramBytes(3, 1, 9) });
    decoder.decode(format.createEncoder(() => 0).encode(good), 1, into);
    expect(rowsBySeries(into)).toEqual(rowsBySeries(good));
  });

  test('a layout that becomes a body beyond all bounds where it is that of many', () => {
    const decode = (bytes: number): void => {
      const large = field(16, new Uint8Array(bytes));
      const columns = columnsOf(histogram(large, [0x08, 1]), histogram(large, [0x08, 2]));
      const section = format.createEncoder(() => 0).encode(columns);
      format.createDecoder(1).decode(section, 2, new SampleColumns());
    };
    decode(HISTOGRAM_BYTES_MAX);
    expect(() => decode(2 * HISTOGRAM_BYTES_MAX)).toThrow('an object of');
  });
});
