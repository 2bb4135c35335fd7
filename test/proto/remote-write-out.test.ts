import fc from 'fast-check';
import protobuf from 'protobufjs';
import snappy from 'snappyjs';
import { describe, expect, it } from 'vitest';
import { WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import { labelBytes } from '../hub/series-fixture.ts';

const STALE = 0x7ff0_0000_0000_0002n;

/** Values as the eight bytes they are; proto2, where a zero that was set is written. */
const WriteRequest = protobuf
  .parse(`
    syntax = "proto2";
    message WriteRequest { repeated TimeSeries timeseries = 1; }
    message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; }
    message Label { optional string name = 1; optional string value = 2; }
    message Sample { optional fixed64 value = 1; optional int64 timestamp = 2; }
  `)
  .root.lookupType('WriteRequest');

interface Run {
  labels: Record<string, string>;
  samples: { timestamp: number; bits: bigint }[];
}

function encode(encoder: WriteRequestEncoder, runs: readonly Run[]): Uint8Array {
  for (const { labels, samples } of runs) {
    // Framed by other bytes, as in an arena.
    const source = Uint8Array.from([9, ...labelBytes(labels), 9]);
    encoder.series(source, 1, source.length - 1);
    for (const { timestamp, bits } of samples) {
      encoder.sample(timestamp, Number(bits & 0xffff_ffffn), Number(bits >> 32n));
    }
  }
  return snappy.uncompress(encoder.finish());
}

/** What protobufjs writes for the same message. */
function oracle(runs: readonly Run[]): Uint8Array {
  const timeseries = runs.map(({ labels, samples }) => ({
    labels: Object.entries(labels).map(([name, value]) => ({ name, value })),
    samples: samples.map(({ timestamp, bits }) => ({
      value: long(bits),
      timestamp: long(BigInt(timestamp)),
    })),
  }));
  return WriteRequest.encode({ timeseries } as never).finish();
}

function long(value: bigint): { low: number; high: number; unsigned: boolean } {
  const low = Number(BigInt.asIntN(32, value));
  return { low, high: Number(BigInt.asIntN(32, value >> 32n)), unsigned: false };
}

function expectSameBytes(actual: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.from(actual).toString('hex')).toBe(Buffer.from(expected).toString('hex'));
}

const timestamps = fc.oneof(
  fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }),
  fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
  fc.constantFrom(0, -1, 1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 35, -(2 ** 32), 2 ** 53, -(2 ** 53)),
);
const samples = fc.array(
  fc.record({ timestamp: timestamps, bits: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  { minLength: 1, maxLength: 8 },
);
const labels = fc
  .dictionary(fc.stringMatching(/^[a-z]{1,4}$/), fc.string({ minLength: 1, maxLength: 50 }), {
    maxKeys: 2,
  })
  .map((some) => ({ ...some, __name__: 'up' }));

describe('a remote-write body', () => {
  it('is byte for byte what protobufjs writes, in a reused encoder too', () => {
    const encoder = new WriteRequestEncoder();
    fc.assert(
      fc.property(fc.array(fc.record({ labels, samples }), { maxLength: 10 }), (runs) => {
        expectSameBytes(encode(encoder, runs), oracle(runs));
      }),
      { numRuns: 300 },
    );
  });

  it('states the length of a series of any size in as few bytes as possible', () => {
    const encoder = new WriteRequestEncoder();
    for (const length of [1, 80, 110, 120, 127, 128, 16_300, 16_383, 16_384, 70_000]) {
      const run = (name: string): Run => ({
        labels: { __name__: name.repeat(length) },
        samples: [{ timestamp: 1, bits: STALE }],
      });
      const runs = [run('a'), run('b')];
      expectSameBytes(encode(encoder, runs), oracle(runs));
    }
  });

  it('keeps the order of arrival: a series that comes again gets another entry', () => {
    const up = { __name__: 'up' };
    const down = { __name__: 'down' };
    const at = (timestamp: number) => [{ timestamp, bits: BigInt(timestamp) }];
    const runs = [
      { labels: up, samples: at(1) },
      { labels: down, samples: at(1) },
      { labels: up, samples: at(2) },
    ];
    const body = encode(new WriteRequestEncoder(), runs);
    const { timeseries } = WriteRequest.decode(body) as unknown as { timeseries: unknown[] };
    expect(timeseries).toHaveLength(3);
    expectSameBytes(body, oracle(runs));
  });

  it('never holds a series without labels', () => {
    expect(() => new WriteRequestEncoder().series(new Uint8Array(4), 2, 2)).toThrow(/labels/);
  });
});
