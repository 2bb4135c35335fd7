import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../proto/bytes.ts';
import { exemplar2, histogram2, labelsRefs, metadata2, request2 } from './request-2-fixture.ts';
import { Recorder, walk, walker } from './request-2-recorder.ts';
import { field, fixed64, label, sample, varint, writeRequest } from './wire-fixture.ts';

const STALE = 0x7ff0_0000_0000_0002n;
const up = [['__name__', 'up']] as const;

describe('the walker of version 2.0', () => {
  it('writes labels as version 1.0 does', () => {
    const labels = [...up, ['job', 'x'.repeat(300)], ['empty', '']] as const;
    let written: Uint8Array | undefined;
    const recorder = new Recorder();
    recorder.series = (bytes, from, to) => {
      written = bytes.slice(from, to);
    };
    const request = request2({ labels, fields: () => sample(1, 1n) });
    walker.walk(request, request.length, recorder);
    const expected = labels.flatMap(([name, value]) => label(name, value));
    expect(written).toEqual(Uint8Array.from(expected));
  });

  it('takes index 0 for a symbol like any other', () => {
    const series = field(5, [...labelsRefs([0, 1]), ...sample(1, 2n)]);
    const request = Uint8Array.from([...field(4, 'a'), ...field(4, 'b'), ...series]);
    expect(walk(request).seen).toEqual(['series 61=62 of 1', 'sample 1 2 from 0']);
  });

  it('gives the created timestamp of a series to what has no start of its own', () => {
    const created = [0x30, ...varint(5)];
    const own = field(2, [0x10, 2, 0x18, 4]);
    const request = request2({
      labels: up,
      fields: () => [...sample(1, 1n), ...own, ...histogram2([0x78, 3]), ...created],
    });
    expect(walk(request).seen.slice(1)).toEqual([
      'sample 1 1 from 5',
      'sample 2 0 from 4',
      'histogram 7803 from 5',
    ]);
  });

  it('hands metadata over under the full name of the series, once where it repeats', () => {
    const described = (labels: readonly (readonly [string, string])[], help: string) => ({
      labels,
      fields: (reference: (text: string) => number) => [
        ...sample(1, 1n),
        ...metadata2(1, reference(help), reference('seconds')),
      ],
    });
    const other = [...up, ['a', 'b']] as const;
    const request = request2(
      described(up, 'Is it?'),
      described(other, 'Is it?'),
      described(other, 'It is.'),
      { labels: up, fields: () => [...sample(1, 1n), ...metadata2(0, 0, 0)] },
    );
    expect(walk(request).seen.filter((line) => line.startsWith('metadata'))).toEqual([
      'metadata 1 ["up","Is it?","seconds"]',
      'metadata 1 ["up","It is.","seconds"]',
    ]);
  });

  it.each([
    ['an odd number of references', [1, 2, 3], [], 'series [1 2 3]: invalid labelRefs length 3'],
    [
      'a reference outside',
      [0, 999],
      [],
      'series [0 999]: labelRefs 0 (name) = 999 (value) outside of symbols table (size 3)',
    ],
    ['a unit outside', [], metadata2(1, 0, 9), 'metadata unit_ref 9 outside of symbols table'],
    ['a help outside', [], metadata2(1, 9, 0), 'metadata help_ref 9 outside of symbols table'],
  ])('goes on behind a series with %s', (_, refs, more, text) => {
    const bad = { refs, fields: () => [...sample(1, 1n), ...more] };
    const { seen, messages } = walk(request2(bad, { labels: up, fields: () => sample(2, 2n) }));
    expect(seen[0]).toBe('malformed of 1');
    expect(seen.at(-1)).toBe('sample 2 2 from 0');
    expect(messages[0]).toContain(text);
  });

  it('writes no more than a label set may have, and not much more than a request may', () => {
    const big = 'x'.repeat(40_000);
    const labels = Array.from({ length: 9 }, () => ['a', big] as const);
    const sizes: number[] = [];
    const recorder = new Recorder();
    recorder.series = (_, from, to) => sizes.push(to - from);
    const one = { labels, fields: () => sample(1, 1n) };
    const request = request2(one);
    walker.walk(request, request.length, recorder);
    expect(sizes[0]).toBeGreaterThan(65_536);
    expect(sizes[0]).toBeLessThan(120_000);
    const many = request2(...Array.from({ length: 2000 }, () => one));
    expect(() => walker.walk(many, many.length, recorder)).toThrow('labels and metadata of more');
  });

  it.each([
    ['a series that is a number', [0x28, 1], 'Request: field 5'],
    ['symbols that are numbers', [0x20, 1], 'Request: field 4'],
    ['references that are doubles', field(5, [0x09, ...fixed64(1n)]), 'labels_refs'],
    ['references cut off', field(5, [0x0a, 1, 0x80]), 'cut off'],
    ['samples that are a number', field(5, [0x10, 1]), 'TimeSeries: field 2'],
    ['metadata that is a number', field(5, [0x28, 1]), 'TimeSeries: field 5'],
    ['a value that is a float', field(5, field(2, [0x0d, 0, 0, 0, 0])), 'Sample: field 1'],
    ['an exemplar whose value is a number', field(5, field(4, [0x10, 1])), 'Exemplar: field 2'],
    ['a type that is text', field(5, field(5, [0x0a, 0])), 'Metadata: field 1'],
    ['a message of version 1.0', [...writeRequest(label('a', 'b'))], 'remote write 1.0'],
  ])('refuses %s', (_, bytes, text) => {
    expect(() => walk(Uint8Array.from(bytes))).toThrow(DecodeError);
    expect(() => walk(Uint8Array.from(bytes))).toThrow(text);
  });

  const full = request2({
    labels: up,
    fields: (reference) => [
      ...sample(1_700_000_000_000, STALE),
      ...histogram2([0x08, 3]),
      ...exemplar2([reference('trace_id'), reference('abc')]),
      ...metadata2(1, reference('help'), reference('unit')),
    ],
  });

  it('refuses a message that is cut off inside a field', () => {
    const ends = fieldEnds(full);
    for (let length = 1; length < full.length; length++) {
      if (ends.has(length)) continue;
      expect(() => walk(full.subarray(0, length)), `${length} bytes`).toThrow(DecodeError);
    }
  });

  it('never reads outside the message, whatever is damaged', () => {
    const changes = fc.array(fc.tuple(fc.nat(full.length - 1), fc.nat(255)), { minLength: 1 });
    fc.assert(
      fc.property(changes, (changed) => {
        const bytes = full.slice();
        for (const [at, byte] of changed) bytes[at] = byte;
        const padded = (filler: number): Uint8Array =>
          Uint8Array.from([...bytes, ...Array(20).fill(filler)]);
        const results = [0x00, 0xff].map((filler) => {
          const recorder = new Recorder();
          try {
            walker.walk(padded(filler), bytes.length, recorder);
          } catch (error) {
            expect(error).toBeInstanceOf(DecodeError);
          }
          return recorder.seen;
        });
        expect(results[0]).toEqual(results[1]);
      }),
      { numRuns: 2000 },
    );
  });
});

/** Where a message may end. */
function fieldEnds(bytes: Uint8Array): Set<number> {
  const ends = new Set<number>();
  for (let at = 0; at < bytes.length; ) {
    at += 2 + bytes[at + 1]!;
    ends.add(at);
  }
  return ends;
}
