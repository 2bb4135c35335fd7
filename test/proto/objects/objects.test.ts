import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DecodeError } from '../../../proto/bytes.ts';
import { joinHistogram, readHistogram, splitHistogram } from '../../../proto/objects/histogram.ts';
import { SampleColumns } from '../../../proto/sample-columns.ts';
import { sampleFormats } from '../../../proto/sample-format.ts';
import { decodeSegment, encodeSegment } from '../../../proto/segment.ts';
import { exemplarBytes, histogramBytes, rowsBySeries } from './columns-fixture.ts';

const format = sampleFormats.get(3)!;
const idsMax = 10;

const row = fc.record({
  id: fc.nat(idsMax - 1),
  timestamp: fc.oneof(fc.nat(3), fc.maxSafeInteger()),
  start: fc.oneof(fc.constant(0), fc.nat(3), fc.maxSafeInteger()),
  what: fc.oneof(
    { weight: 3, arbitrary: fc.record({ float: fc.nat(0xffffffff) }) },
    {
      weight: 2,
      arbitrary: fc.record({ schema: fc.nat(2), offset: fc.nat(2), count: fc.nat(60) }),
    },
    fc.record({ trace: fc.string({ unit: 'grapheme-ascii', maxLength: 8 }) }),
  ),
});

function columnsOf(rows: readonly (typeof row extends fc.Arbitrary<infer T> ? T : never)[]) {
  const columns = new SampleColumns(0);
  for (const { id, timestamp, start, what } of rows) {
    if ('trace' in what) {
      columns.pushObject('exemplar', id, timestamp, exemplarBytes(what.trace));
      continue;
    }
    if ('float' in what) columns.push(id, timestamp, what.float, 0x7ff00000);
    else {
      const { schema, offset, count } = what;
      columns.pushObject('histogram', id, timestamp, histogramBytes(schema, offset, count));
    }
    columns.setStart(columns.count - 1, start);
  }
  return columns;
}

const manyRows = fc.array(row, { minLength: 1, maxLength: 30 });

describe('a stream of sections', () => {
  test('takes more histograms in one section than a call can have arguments', () => {
    const columns = new SampleColumns(0);
    for (let row = 0; row < 200_000; row++) {
      columns.pushObject(
        'histogram',
        row % idsMax,
        Math.floor(row / idsMax),
        Uint8Array.of(0x20, 2),
      );
    }
    const into = new SampleColumns(0);
    const section = format.createEncoder(() => 0).encode(columns);
    format.createDecoder(idsMax).decode(section, columns.count, into);
    expect(into.objects).toHaveLength(columns.count);
  });

  test('gives floats, histograms, exemplars and start timestamps back, in each series’ order', () => {
    fc.assert(
      fc.property(fc.array(manyRows, { minLength: 1, maxLength: 4 }), (sections) => {
        const encoder = format.createEncoder(() => 0);
        const decoder = format.createDecoder(idsMax);
        for (const rows of sections) {
          const columns = columnsOf(rows);
          const into = new SampleColumns(0);
          decoder.decode(encoder.encode(columns), columns.count, into);
          expect(rowsBySeries(into)).toEqual(rowsBySeries(columns));
        }
      }),
    );
  });

  test('moves on only by sections that can be read as a whole', () => {
    fc.assert(
      fc.property(manyRows, manyRows, fc.nat(), fc.nat(255), (first, second, at, byte) => {
        const encoder = format.createEncoder(() => 0);
        const decoder = format.createDecoder(idsMax);
        const into = new SampleColumns(0);
        decoder.decode(encoder.encode(columnsOf(first)), first.length, into);
        const good = encoder.encode(columnsOf(second));
        const bad = Uint8Array.from(good);
        bad[at % bad.length] = byte;
        const rows = into.count;
        const before = JSON.stringify(rowsBySeries(into));
        try {
          decoder.decode(bad, second.length, into);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          expect(into.count).toBe(rows);
          expect(JSON.stringify(rowsBySeries(into))).toBe(before);
          const again = new SampleColumns(0);
          decoder.decode(good, second.length, again);
          expect(rowsBySeries(again)).toEqual(rowsBySeries(columnsOf(second)));
        }
      }),
    );
  });

  test('sends the layout of a histogram and a start timestamp once', () => {
    const encoder = format.createEncoder(() => 0);
    const section = (count: number): number => {
      const columns = new SampleColumns();
      columns.pushObject('histogram', 0, count, histogramBytes(3, 7, count));
      columns.setStart(0, 1_700_000_000_000);
      return encoder.encode(columns).length;
    };
    const first = section(1);
    // The layout has 8 bytes, the change of the start timestamp 9, and the first block is new.
    expect(section(2)).toBeLessThan(first - 16);
  });

  test('floats alone cost one byte', () => {
    const columns = new SampleColumns();
    columns.push(0, 1, 0, 0);
    expect(format.createEncoder(() => 0).encode(columns)[0]).toBe(0);
  });
});

test('a segment gives back everything in the order of its rows', () => {
  fc.assert(
    fc.property(manyRows, manyRows, (rows, before) => {
      const columns = columnsOf(rows);
      const into = columnsOf(before);
      decodeSegment(encodeSegment(columns), columns.count, into);
      const both = columnsOf([...before, ...rows]);
      expect(rowsBySeries(into)).toEqual(rowsBySeries(both));
      expect(into.objects.map((object) => object.row)).toEqual(both.objects.map((o) => o.row));
    }),
  );
});

test('rows keep what stands beside them when they are appended one by one, or taken back', () => {
  fc.assert(
    fc.property(manyRows, manyRows, (rows, more) => {
      const all = new SampleColumns(0);
      const columns = columnsOf(rows);
      for (let at = 0; at < columns.count; at++) all.appendRows(columns, at, at + 1);
      all.appendRows(columnsOf(more));
      all.truncate(columns.count);
      all.push(9, 1, 2, 3);
      expect(all.startOf(columns.count)).toBe(0);
      all.truncate(columns.count);
      expect(rowsBySeries(all)).toEqual(rowsBySeries(columns));
    }),
  );
});

test('a histogram in canonical form is the sum of its parts, its times stand apart', () => {
  const times = [0x78, 5, 0x88, 0x01, 3];
  const canonical = histogramBytes(3, 1, 9);
  // Fields in another order than that of their numbers, as protobuf allows.
  const sent = Uint8Array.from([...times, ...canonical.subarray(2), ...canonical.subarray(0, 2)]);
  const read = readHistogram(sent, 0, sent.length);
  expect(read).toMatchObject({ timestamp: 5, startTimestamp: 3 });
  expect([...read.bytes]).toEqual([...canonical]);
  const { layout, counts } = splitHistogram(canonical);
  expect([layout.length, counts.length]).toEqual([8, 5]);
  expect([...joinHistogram(layout, counts)]).toEqual([...canonical]);
});
