import fc from 'fast-check';
import snappyjs from 'snappyjs';
import { describe, expect, it } from 'vitest';
import { nodeMix15s, readCapture } from '../../bench/capture.ts';
import { DecodeError } from '../../proto/bytes.ts';
import { forEachLabel } from '../../proto/label-set.ts';
import { type WriteRequestSink, WriteRequestWalker } from '../../proto/remote-write/walker-1.ts';
import {
  exactWriteRequestType,
  field,
  fixed64,
  type Halves,
  label,
  sample,
  unsigned64,
  varint,
  writeRequest,
} from './wire-fixture.ts';

const STALE = 0x7ff0_0000_0000_0002n;
const WriteRequest = exactWriteRequestType();

/** What a walk sees, in a form that can be compared. */
interface Seen {
  series: { labels: string[]; samples: string[]; histograms: string[]; exemplars: string[] }[];
  metadata: string[];
}

class Recorder implements WriteRequestSink {
  readonly seen: Seen = { series: [], metadata: [] };
  readonly #announced: number[] = [];

  series(bytes: Uint8Array, from: number, to: number, samples: number): void {
    const shown: string[] = [];
    forEachLabel(bytes, (name, value) => shown.push(`${hex(name)}=${hex(value)}`), from, to);
    this.seen.series.push({ labels: shown, samples: [], histograms: [], exemplars: [] });
    this.#announced.push(samples);
  }

  sample(timestamp: number, bitsLow: number, bitsHigh: number): void {
    const bits = (BigInt(bitsHigh) << 32n) | BigInt(bitsLow);
    this.seen.series.at(-1)!.samples.push(`${timestamp} ${bits}`);
  }

  histogram(bytes: Uint8Array, from: number, to: number): void {
    this.seen.series.at(-1)!.histograms.push(hex(bytes.subarray(from, to)));
  }

  exemplar(bytes: Uint8Array, from: number, to: number): void {
    this.seen.series.at(-1)!.exemplars.push(hex(bytes.subarray(from, to)));
  }

  metadata(bytes: Uint8Array, from: number, to: number): void {
    this.seen.metadata.push(hex(bytes.subarray(from, to)));
  }

  finish(): Seen {
    const counts = this.seen.series.map((one) => one.samples.length + one.histograms.length);
    expect(counts).toEqual(this.#announced);
    return this.seen;
  }
}

const walker = new WriteRequestWalker();

/** Walks `bytes` in a larger scratch, as ingest does. */
function walk(bytes: Uint8Array): Seen {
  const scratch = new Uint8Array(bytes.length + 9).fill(0x0a);
  scratch.set(bytes);
  const recorder = new Recorder();
  walker.walk(scratch, bytes.length, recorder);
  return recorder.finish();
}

interface Decoded {
  timeseries: {
    labels: { name: Uint8Array; value: Uint8Array }[];
    samples: { value: Halves | number; timestamp: Halves | number }[];
    exemplars: unknown[];
    histograms: unknown[];
  }[];
  metadata: unknown[];
}

/** What protobufjs sees; series that nothing follows are left out, as the walker does. */
function oracle(bytes: Uint8Array) {
  const { timeseries, metadata } = WriteRequest.decode(bytes) as unknown as Decoded;
  const series = timeseries.flatMap(({ labels, samples, exemplars, histograms }) => {
    if (samples.length + exemplars.length + histograms.length === 0) return [];
    return {
      labels: labels.map(({ name, value }) => `${hex(name)}=${hex(value)}`),
      samples: samples.map(({ value, timestamp }) => {
        const milliseconds = BigInt.asIntN(64, unsigned64(timestamp));
        const isExact = milliseconds >= -(2n ** 53n) && milliseconds <= 2n ** 53n;
        return `${isExact ? Number(milliseconds) : Number.NaN} ${unsigned64(value)}`;
      }),
      histograms: histograms.length,
      exemplars: exemplars.length,
    };
  });
  return { series, metadata: metadata.length };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function expectAsOracle(bytes: Uint8Array): void {
  const { metadata, series } = walk(bytes);
  const counted = series.map(({ histograms, exemplars, ...rest }) => {
    return { ...rest, histograms: histograms.length, exemplars: exemplars.length };
  });
  expect({ series: counted, metadata: metadata.length }).toEqual(oracle(bytes));
}

/** Fields of a message in any order; protobuf allows that, and unknown ones between them. */
function anyOrder(fields: fc.Arbitrary<number[]>, maxLength: number): fc.Arbitrary<number[]> {
  const unknown = fc.oneof(
    fc.constant([...varint(15 * 8), ...varint(-1)]),
    fc.constant([...varint(16 * 8 + 5), 1, 2, 3, 4]),
    fc.constant([...varint(17 * 8 + 1), 1, 2, 3, 4, 5, 6, 7, 8]),
    fc.uint8Array({ maxLength: 5 }).map((content) => field(1000, content)),
  );
  const any = fc.oneof({ weight: 6, arbitrary: fields }, { weight: 1, arbitrary: unknown });
  return fc.array(any, { maxLength }).map((parts) => parts.flat());
}

const padding = fc.oneof(fc.constant(0), fc.nat(3));
const anyBits = fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.constant(STALE), fc.constant(1n << 63n));
const anyTimestamp = fc.oneof(
  fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }).map(BigInt),
  fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
);
const text = fc.uint8Array({ maxLength: 6 });
const anyLabel = anyOrder(
  fc.tuple(fc.constantFrom(1, 2), text, padding).map(([number, ...rest]) => field(number, ...rest)),
  4,
);
const anySample = anyOrder(
  fc.oneof(
    anyBits.map((bits) => [0x09, ...fixed64(bits)]),
    anyTimestamp.map((timestamp) => [0x10, ...varint(timestamp)]),
  ),
  4,
);
const anySeries = anyOrder(
  fc.oneof(
    { weight: 4, arbitrary: fc.tuple(anyLabel, padding).map((rest) => field(1, ...rest)) },
    { weight: 3, arbitrary: fc.tuple(anySample, padding).map((rest) => field(2, ...rest)) },
    { weight: 1, arbitrary: fc.constantFrom(field(3, []), field(4, [])) },
  ),
  9,
);
const anyRequest = anyOrder(
  fc.oneof(
    { weight: 5, arbitrary: fc.tuple(anySeries, padding).map((rest) => field(1, ...rest)) },
    { weight: 1, arbitrary: text.map((help) => field(3, field(4, help))) },
  ),
  6,
).map((bytes) => Uint8Array.from(bytes));

describe('the walker of write requests', () => {
  it('sees what protobufjs sees in random messages', () => {
    fc.assert(fc.property(anyRequest, expectAsOracle), { numRuns: 2000 });
  });

  it('sees what protobufjs sees in requests of a real Prometheus', () => {
    const requests = readCapture(nodeMix15s);
    for (let i = 0; i < requests.length; i += 20) {
      expectAsOracle(snappyjs.uncompress(requests[i]!.body));
    }
  });

  it('keeps the bits of stale markers, negative zero and NaN payloads', () => {
    const bits = [STALE, 1n << 63n, 0x7ff8_0000_dead_beefn, 0xfff0_0000_0000_0001n];
    const samples = bits.flatMap((value) => sample(1, value));
    const [series] = walk(writeRequest([...label('__name__', 'up'), ...samples])).series;
    expect(series!.samples).toEqual(bits.map((value) => `1 ${value}`));
  });

  it('gathers labels that stand apart, before and behind their samples', () => {
    const apart = [
      ...sample(1, 1n),
      ...label('a', '1'),
      ...field(9, 'between'),
      ...label('b', '2'),
      ...sample(2, 2n),
      ...label('c', '3'),
    ];
    const together = [...label('x', '1'), ...label('y', '2'), ...sample(3, 3n)];
    const { series } = walk(writeRequest(apart, together, apart));
    const names = series.map(({ labels }) => labels.map((pair) => pair.slice(0, 2)));
    expect(names).toEqual([
      ['61', '62', '63'],
      ['78', '79'],
      ['61', '62', '63'],
    ]);
    expect(series.map(({ samples }) => samples)).toEqual([['1 1', '2 2'], ['3 3'], ['1 1', '2 2']]);
  });

  it('hands over native histograms and exemplars as they stand, and no series that is empty', () => {
    const request = writeRequest(
      [...label('__name__', 'h'), ...field(4, 'x'), ...field(4, 'y')],
      [...label('__name__', 'up'), ...sample(1, 1n), ...field(3, 'z')],
      label('__name__', 'empty'),
    );
    expect(walk(request).series).toMatchObject([
      { samples: [], histograms: ['78', '79'], exemplars: [] },
      { samples: ['1 1'], histograms: [], exemplars: ['7a'] },
    ]);
  });

  it.each([
    ['a series that is a number', [0x08, 1], 'WriteRequest: field 1'],
    ['metadata that is a number', [0x18, 1], 'WriteRequest: field 3'],
    ['labels that are a number', field(1, [0x08, 1]), 'TimeSeries: field 1'],
    ['a histogram that is a number', field(1, [0x20, 1]), 'TimeSeries: field 4'],
    ['a value that is a float', field(1, field(2, [0x0d, 0, 0, 0, 0])), 'Sample: field 1'],
    ['a timestamp of eight bytes', field(1, field(2, [0x11, ...fixed64(1n)])), 'Sample: field 2'],
    ['field number 0', [0x02, 0], 'number 0'],
    ['a wire type that does not exist', [0x0e], 'wire type 6'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => walk(Uint8Array.from(bytes))).toThrow(DecodeError);
    expect(() => walk(Uint8Array.from(bytes))).toThrow(message);
  });

  it('refuses a message that is cut off inside a field', () => {
    const request = writeRequest([...label('__name__', 'up'), ...sample(1_700_000_000_000, STALE)]);
    for (let length = 1; length < request.length; length++) {
      expect(() => walk(request.subarray(0, length))).toThrow(DecodeError);
    }
  });

  it('refuses damage in a series whose length still fits its message', () => {
    const series = [...label('__name__', 'up'), ...sample(1_700_000_000_000, STALE)];
    for (let length = 1; length < series.length; length++) {
      if (length === label('__name__', 'up').length) continue;
      expect(() => walk(writeRequest(series.slice(0, length)))).toThrow(DecodeError);
    }
  });

  it('refuses a message of version 2.0, which would look empty', () => {
    const version2 = [...field(4, ''), ...field(4, '__name__'), ...field(5, [])];
    expect(() => walk(Uint8Array.from(version2))).toThrow('remote write 2.0');
    const extended = [...writeRequest([...label('a', 'b'), ...sample(1, 1n)]), ...field(4, 'new')];
    expect(walk(Uint8Array.from(extended)).series).toHaveLength(1);
  });

  it('never reads outside the message, whatever is damaged', () => {
    const request = writeRequest(
      [...label('__name__', 'up'), ...label('job', 'node'), ...sample(1_700_000_000_000, STALE)],
      [...label('__name__', 'down'), ...sample(2, 2n), ...sample(3, 3n)],
    );
    const changes = fc.array(fc.tuple(fc.nat(request.length - 1), fc.nat(255)), { minLength: 1 });
    fc.assert(
      fc.property(changes, (changed) => {
        const bytes = request.slice();
        for (const [at, byte] of changed) bytes[at] = byte;
        try {
          walk(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
