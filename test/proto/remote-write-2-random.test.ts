import fc from 'fast-check';
import { expect, it } from 'vitest';
import { exactRequest2Type } from './request-2-fixture.ts';
import { hex, walk } from './request-2-recorder.ts';
import { field, fixed64, type Halves, unsigned64, varint } from './wire-fixture.ts';

const STALE = 0x7ff0_0000_0000_0002n;
const NAME = Buffer.from('__name__');
const Request = exactRequest2Type();

interface Decoded {
  symbols: Uint8Array[];
  timeseries: {
    labelsRefs: number[];
    samples: { value: Halves; timestamp: Halves; startTimestamp: Halves }[];
    histograms: object[];
    exemplars: { labelsRefs: number[]; value: Halves; timestamp: Halves }[];
    metadata: { type: number; helpRef: number; unitRef: number } | null;
    createdTimestamp: Halves;
  }[];
}

/** What protobufjs sees, without the bytes of histograms. */
function oracle(bytes: Uint8Array): string[] {
  const { symbols, timeseries } = Request.decode(bytes) as unknown as Decoded;
  const milliseconds = (value: Halves | number): number => {
    const exact = BigInt.asIntN(64, unsigned64(value));
    return exact >= -(2n ** 53n) && exact <= 2n ** 53n ? Number(exact) : Number.NaN;
  };
  const isReadable = (refs: number[]): boolean =>
    refs.length % 2 === 0 && refs.every((ref) => ref < symbols.length);
  const text = (ref: number): Uint8Array => symbols[ref] ?? new Uint8Array(0);
  const labelsOf = (refs: number[]): string =>
    Array.from({ length: refs.length / 2 }, (_, i) =>
      [hex(text(refs[2 * i]!)), hex(text(refs[2 * i + 1]!))].join('='),
    ).join();
  const known = (ref: number): boolean => ref === 0 || ref < symbols.length;
  let previous = '';
  return timeseries.flatMap((one) => {
    const { metadata, samples, histograms, exemplars, labelsRefs: refs } = one;
    const count = samples.length + histograms.length;
    const isEmpty = count + exemplars.length === 0;
    const isGood =
      isReadable(refs) &&
      (metadata === null || (known(metadata.helpRef) && known(metadata.unitRef))) &&
      !(isEmpty && metadata === null);
    const created = milliseconds(one.createdTimestamp);
    const seen: string[] = [];
    if (!isGood) seen.push(`malformed of ${count}`);
    else if (!isEmpty) seen.push(`series ${labelsOf(refs)} of ${count}`);
    for (const { value, timestamp, startTimestamp } of samples) {
      const start = milliseconds(startTimestamp);
      const from = start === 0 ? created : start;
      seen.push(`sample ${milliseconds(timestamp)} ${unsigned64(value)} from ${from}`);
    }
    seen.push(...histograms.map(() => `histogram from ${created}`));
    for (const { labelsRefs: texts, value, timestamp } of exemplars) {
      const what = `${milliseconds(timestamp)} ${labelsOf(texts)} ${unsigned64(value)}`;
      seen.push(isReadable(texts) ? `exemplar ${what}` : 'malformed exemplar');
    }
    if (isGood && metadata !== null) {
      const [help, unit] = [text(metadata.helpRef), text(metadata.unitRef)];
      const at = refs.findIndex((ref, i) => i % 2 === 0 && hex(text(ref)) === hex(NAME));
      const family = at < 0 ? new Uint8Array(0) : text(refs[at + 1]!);
      const texts = [family, help, unit].map((bytes) => Buffer.from(bytes).toString());
      const shown = `metadata ${metadata.type} ${JSON.stringify(texts)}`;
      const isSaid = metadata.type !== 0 || help.length + unit.length > 0;
      const isSame = shown === previous;
      if (isSaid) previous = shown;
      if (isSaid && !isSame) seen.push(shown);
    }
    return seen;
  });
}

/** The order between samples, histograms and exemplars is of no interest, nor are repetitions. */
function comparable(seen: string[]): string[] {
  const series: string[][] = [];
  let previous = '';
  for (const line of seen) {
    const isMetadata = line.startsWith('metadata');
    if (isMetadata && line === previous) continue;
    if (isMetadata) previous = line;
    if (/^(series|malformed of)/.test(line)) series.push([]);
    if (series.length === 0) series.push([]);
    series.at(-1)!.push(line.replace(/^histogram .*from/, 'histogram from'));
  }
  return series.flatMap((lines) => lines.sort());
}

/** Fields of a message in any order; protobuf allows that, and unknown ones between them. */
function anyOrder(fields: fc.Arbitrary<number[]>, maxLength: number): fc.Arbitrary<number[]> {
  const unknown = fc.oneof(
    fc.constant([...varint(15 * 8), ...varint(-1)]),
    fc.constant([...varint(16 * 8 + 5), 1, 2, 3, 4]),
    fc.uint8Array({ maxLength: 5 }).map((content) => field(1000, content)),
  );
  const any = fc.oneof({ weight: 9, arbitrary: fields }, { weight: 1, arbitrary: unknown });
  return fc.array(any, { maxLength }).map((parts) => parts.flat());
}

const padding = fc.oneof(fc.constant(0), fc.nat(3));
const anyBits = fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.constant(STALE));
const anyTimestamp = fc.oneof(
  fc.constant(0n),
  fc.nat().map(BigInt),
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
);
/** Mostly within the table, which has at most eight. */
const anyRef = fc.oneof(
  { weight: 40, arbitrary: fc.nat(3) },
  { weight: 1, arbitrary: fc.nat(2 ** 32 - 1) },
);
const anyRefs = fc.oneof(
  fc.tuple(fc.array(fc.tuple(anyRef, anyRef), { maxLength: 3 }), padding).map(([refs, pad]) =>
    field(
      1,
      refs.flat().flatMap((ref) => varint(ref, pad)),
      pad,
    ),
  ),
  fc.tuple(anyRef, anyRef).map(([name, value]) => [0x08, ...varint(name), 0x08, ...varint(value)]),
  { weight: 1, arbitrary: anyRef.map((ref) => [0x08, ...varint(ref)]) },
);
const scalars = (tag: number): fc.Arbitrary<number[]> =>
  anyTimestamp.map((value) => [tag, ...varint(value)]);
const anySample = anyOrder(
  fc.oneof(
    anyBits.map((bits) => [0x09, ...fixed64(bits)]),
    scalars(0x10),
    scalars(0x18),
  ),
  5,
);
const anyExemplar = anyOrder(
  fc.oneof(
    anyRefs,
    anyBits.map((bits) => [0x11, ...fixed64(bits)]),
    scalars(0x18),
  ),
  5,
);
const anyMetadata = anyOrder(
  fc.oneof(
    fc.nat(7).map((type) => [0x08, type]),
    fc.tuple(fc.constantFrom(0x18, 0x20), anyRef).map(([tag, ref]) => [tag, ...varint(ref)]),
  ),
  3,
);
const message = (number: number, content: fc.Arbitrary<number[]>): fc.Arbitrary<number[]> =>
  fc.tuple(content, padding).map(([bytes, pad]) => field(number, bytes, pad));
const anySeries = anyOrder(
  fc.oneof(
    { weight: 4, arbitrary: anyRefs },
    { weight: 3, arbitrary: message(2, anySample) },
    { weight: 1, arbitrary: fc.constant(field(3, [])) },
    { weight: 1, arbitrary: message(4, anyExemplar) },
    { weight: 1, arbitrary: message(5, anyMetadata) },
    { weight: 1, arbitrary: scalars(0x30) },
  ),
  8,
);
const anySymbol = fc.oneof(
  fc.constantFrom('', '__name__', 'up').map((text) => [...Buffer.from(text)]),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => [...bytes].map((byte) => byte & 0x7f)),
);
const anyRequest = fc
  .tuple(
    fc.array(anySymbol, { minLength: 4, maxLength: 8 }),
    anyOrder(fc.oneof(message(5, anySeries), message(4, anySymbol)), 7),
    fc.boolean(),
  )
  .map(([symbols, series, isBehind]) => {
    const texts = symbols.flatMap((text) => field(4, text));
    return Uint8Array.from(isBehind ? [...series, ...texts] : [...texts, ...series]);
  });

it('the walker of version 2.0 sees what protobufjs sees in random messages', () => {
  fc.assert(
    fc.property(anyRequest, (bytes) => {
      expect(comparable(walk(bytes).seen)).toEqual(comparable(oracle(bytes)));
    }),
    { numRuns: 3000 },
  );
});
