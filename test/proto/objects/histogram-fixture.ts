import { field, fixed64, varint } from '../wire-fixture.ts';

export interface Side {
  /** Offset and length of each. */
  spans: readonly (readonly [number, number])[];
  /** Observations in each bucket. */
  counts: readonly (number | bigint)[];
}

export interface Shape {
  isFloat?: boolean;
  /** What the buckets hold, unless it is given. */
  count?: number | bigint;
  sum?: number;
  /** In place of `sum`. */
  sumBits?: bigint;
  schema?: number;
  zeroThreshold?: number;
  zeroCount?: number | bigint;
  negative?: Side;
  positive?: Side;
  customValues?: readonly number[];
  timestamp?: number;
  startTimestamp?: number;
}

/** A Histogram message, its fields in the order of their numbers. */
export function histogram(shape: Shape): number[] {
  const { isFloat = false, sum = 1, sumBits, schema = 0, zeroThreshold = 0, zeroCount = 0 } = shape;
  const { negative, positive, customValues = [], timestamp = 1, startTimestamp = 0 } = shape;
  const all = [zeroCount, ...(negative?.counts ?? []), ...(positive?.counts ?? [])];
  const total = isFloat
    ? all.reduce<number>((one, other) => one + Number(other), 0)
    : all.reduce<bigint>((one, other) => one + BigInt(other), 0n);
  const count = shape.count ?? total;
  return [
    ...(isFloat ? [0x11, ...double(Number(count))] : [0x08, ...varint(BigInt(count))]),
    0x19,
    ...(sumBits === undefined ? double(sum) : fixed64(sumBits)),
    0x20,
    ...zigzag(schema),
    0x29,
    ...double(zeroThreshold),
    ...(isFloat ? [0x39, ...double(Number(zeroCount))] : [0x30, ...varint(BigInt(zeroCount))]),
    ...sideFields(negative, 8, isFloat),
    ...sideFields(positive, 11, isFloat),
    0x78,
    ...varint(timestamp),
    ...(customValues.length === 0 ? [] : field(16, customValues.flatMap(double))),
    ...(startTimestamp === 0 ? [] : [...varint(17 * 8), ...varint(startTimestamp)]),
  ];
}

function sideFields(side: Side | undefined, number: number, isFloat: boolean): number[] {
  if (side === undefined) return [];
  const spans = side.spans.flatMap(([offset, length]) =>
    field(number, [0x08, ...zigzag(offset), 0x10, ...varint(length)]),
  );
  let previous = 0n;
  const deltas = side.counts.flatMap((count) => {
    const delta = isFloat ? 0n : BigInt(count) - previous;
    previous = isFloat ? 0n : BigInt(count);
    return isFloat ? double(Number(count)) : zigzag(delta);
  });
  return [...spans, ...field(number + (isFloat ? 2 : 1), deltas)];
}

export function zigzag(value: number | bigint): number[] {
  const signed = BigInt(value);
  return varint(BigInt.asUintN(64, (signed << 1n) ^ (signed >> 63n)));
}

function double(value: number): number[] {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return [...bytes];
}
