import fc from 'fast-check';
import { nodeMix15s, readCapture } from '../../../bench/capture.ts';
import { encodeMetadataEntry, encodeSeriesEntry } from '../../../proto/dictionary-entry.ts';
import { canonicalLabelSet } from '../../../proto/label-set.ts';
import { canonicalMetadata } from '../../../proto/metric-metadata.ts';
import { WriteRequestWalker } from '../../../proto/remote-write/walker-1.ts';
import { decodeSnappy, snappyDeclaredBytes } from '../../../proto/snappy.ts';
import { field, labels } from '../wire-fixture.ts';

export const NO_LIMIT = { entriesMax: Infinity, bytesMax: Infinity };

/** Later hardly anything is new. */
const REQUESTS = 40;

/** Series and metadata of real traffic, each once, in the order in which they came. */
export function capturedEntries(): { series: Uint8Array[]; metadata: Uint8Array[] } {
  const series = new Map<string, Uint8Array>();
  const metadata = new Map<string, Uint8Array>();
  const add = (to: typeof series, entry: Uint8Array) => {
    const key = Buffer.from(entry).toString('latin1');
    if (!to.has(key)) to.set(key, entry);
  };
  const sink = {
    series: (bytes: Uint8Array, from: number, to: number) => {
      const verdict = canonicalLabelSet(bytes, from, to);
      if (verdict.kind === 'canonical') add(series, encodeSeriesEntry('', verdict.bytes));
    },
    metadata: (bytes: Uint8Array, from: number, to: number) =>
      add(metadata, encodeMetadataEntry('', canonicalMetadata(bytes, from, to)!)),
    sample: () => {},
    histogram: () => {},
    exemplar: () => {},
  };
  const walker = new WriteRequestWalker();
  for (const { body } of readCapture(nodeMix15s).slice(0, REQUESTS)) {
    const bytes = new Uint8Array(snappyDeclaredBytes(body));
    decodeSnappy(body, bytes);
    walker.walk(bytes, bytes.length, sink);
  }
  return { series: [...series.values()], metadata: [...metadata.values()] };
}

/** The four entries of docs/wire-dictionary.md. */
export const EXAMPLE = [
  encodeSeriesEntry('', labels(['__name__', 'up'], ['job', 'node'])),
  encodeSeriesEntry('', labels(['__name__', 'load1'], ['job', 'node'])),
  encodeSeriesEntry('', labels(['__name__', 'up'], ['job', 'redis'])),
  encodeMetadataEntry('', Uint8Array.from([8, 2, ...field(2, 'load1'), ...field(4, 'Load.')])),
];

const tenants = fc.constantFrom('', 'a', 'té');
const names = fc.oneof(
  fc.constantFrom('__name__', 'instance', 'job', 'le', '\x08', '\x12', '"'),
  fc.string({ minLength: 1, maxLength: 200, unit: 'grapheme' }),
);
/** Few enough to meet again, some that share a start, some that are no UTF-8. */
const values = fc.oneof(
  fc.constantFrom('a', 'ab', 'abc', 'b').map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 12 }),
  fc.array(fc.constantFrom(0, 1, 0xfe, 0xff), { maxLength: 6 }),
);
const fields = (number: fc.Arbitrary<number>) =>
  fc.array(fc.tuple(number, values).map(([id, value]) => field(id, value)));

const series = fc
  .tuple(tenants, fc.array(fc.tuple(names, values), { maxLength: 70 }))
  .map(([tenant, set]) => {
    const bytes = set.flatMap(([name, value]) => field(1, [...field(1, name), ...field(2, value)]));
    return encodeSeriesEntry(tenant, Uint8Array.from(bytes));
  });
const metadata = fc
  .tuple(tenants, fc.nat(300), fields(fc.integer({ min: 1, max: 20 })))
  .map(([tenant, type, rest]) => {
    const typeField = type < 0x80 ? [8, type] : [8, (type & 0x7f) | 0x80, type >> 7];
    return encodeMetadataEntry(tenant, Uint8Array.from([...typeField, ...rest.flat()]));
  });

/** Entries of all kinds, canonical or not, well-formed or not, some of them more than once. */
export const anyEntries = fc
  .array(fc.oneof(series, metadata, fc.uint8Array({ maxLength: 30 })), { maxLength: 30 })
  .chain((entries) =>
    entries.length === 0
      ? fc.constant(entries)
      : fc
          .array(fc.constantFrom(...entries), { maxLength: 60 })
          .map((again) => [...entries, ...again]),
  );
