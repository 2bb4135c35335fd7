import { DecodeError } from './bytes.ts';

/** protobufjs hands 64-bit integers over as two halves. */
export interface LongLike {
  low: number;
  high: number;
}

/** The halves of an unsigned 64-bit integer. */
export function toLong(value: bigint): LongLike {
  return {
    low: Number(BigInt.asIntN(32, value)),
    high: Number(BigInt.asIntN(32, value >> 32n)),
  };
}

export function fromLong({ low, high }: LongLike): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/**
 * A count or time that must fit a double exactly.
 *
 * @throws DecodeError naming `field` beyond ±2^53
 */
export function safeNumber({ low, high }: LongLike, field: string): number {
  const value = (high | 0) * 2 ** 32 + (low >>> 0);
  if (!Number.isSafeInteger(value)) throw new DecodeError(`${field}: beyond 2^53`);
  return value;
}
