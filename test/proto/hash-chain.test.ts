import { expect, test } from 'vitest';
import { CHAIN_START, extendChain } from '../../proto/hash-chain.ts';

const chainOf = (...entries: string[]) =>
  entries.reduce((hash, entry) => extendChain(hash, Buffer.from(entry)), CHAIN_START);

test('the first link is plain XXH64', () => {
  expect(chainOf('')).toBe(0xef46db3751d8e999n);
  expect(chainOf('a')).toBe(0xd24ec4f1a98c6e5bn);
});

test('two logs with one difference anywhere never meet again', () => {
  const hashes = [
    chainOf('a', 'b', 'c'),
    chainOf('b', 'a', 'c'),
    chainOf('ab', '', 'c'),
    chainOf('a', 'bc'),
    chainOf('a', 'b', 'd'),
    chainOf('a', 'b', 'c', ''),
  ];
  expect(new Set(hashes).size).toBe(hashes.length);
});
