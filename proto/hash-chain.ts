import xxhash from 'xxhash-wasm';

const { h64Raw } = await xxhash();

/** Hash of a dictionary log without entries. */
export const CHAIN_START = 0n;

/**
 * Hash of a dictionary log after one more entry: XXH64 of the entry's canonical bytes, seeded with
 * the hash before it. Two logs with equal hash and length hold the same entries; without it an
 * agent restored from a backup would reuse ids and samples would land under wrong labels.
 */
export function extendChain(hash: bigint, entry: Uint8Array): bigint {
  return h64Raw(entry, hash);
}
