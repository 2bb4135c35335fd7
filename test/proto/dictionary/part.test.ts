import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../proto/bytes.ts';
import { decodeEntries } from '../../../proto/dictionary/part-decoder.ts';
import { encodeEntries } from '../../../proto/dictionary/part-encoder.ts';
import { encodeSeriesEntry } from '../../../proto/dictionary-entry.ts';
import { LABEL_SET_BYTES_MAX } from '../../../proto/label-set.ts';
import { compressFrame } from '../../../proto/zstd.ts';
import { field, labels, varint } from '../wire-fixture.ts';
import { anyEntries, capturedEntries, EXAMPLE, NO_LIMIT } from './entries-fixture.ts';

const ZSTD_LEVEL = 3;
const { series, metadata } = capturedEntries();

function expectRoundTrip(entries: Uint8Array[]): void {
  const decoded = decodeEntries(encodeEntries(entries), NO_LIMIT);
  expect(decoded.length).toBe(entries.length);
  const differing = entries.findIndex((entry, i) => Buffer.compare(entry, decoded[i]!) !== 0);
  expect(differing).toBe(-1);
}

describe('a dictionary part', () => {
  it('is the bytes of the example in docs/wire-dictionary.md', () => {
    const text = readFileSync(new URL('../../../docs/wire-dictionary.md', import.meta.url), 'utf8');
    const lines = /```hex\n(.*?)```/s.exec(text)![1]!.trim().split('\n');
    const hex = lines.map((line) => line.split('  ')[0]).join(' ');
    const bytes = Uint8Array.from(hex.split(' '), (byte) => Number.parseInt(byte, 16));
    expect([...encodeEntries(EXAMPLE)]).toEqual([...bytes]);
    expect(decodeEntries(bytes, NO_LIMIT)).toEqual(EXAMPLE);
  });

  it('without entries is empty', () => {
    expect(encodeEntries([])).toEqual(new Uint8Array(0));
    expect(decodeEntries(new Uint8Array(0), NO_LIMIT)).toEqual([]);
  });

  it('gives back any entries byte for byte, in their order', () => {
    fc.assert(fc.property(anyEntries, expectRoundTrip));
  });

  it('gives back label sets as large as the limit', () => {
    const value = 'v'.repeat(LABEL_SET_BYTES_MAX - 100);
    const set = (end: string) => encodeSeriesEntry('t', labels(['__name__', value + end]));
    expectRoundTrip([set('a'), set('b'), set('a'), set('ab'), set('')]);
  });

  it('gives back an entry that repeats a label or writes a length longer than need be', () => {
    const twice = labels(['a', '1'], ['a', '2'], ['a', '1']);
    const long = Uint8Array.from(field(1, [...field(1, 'a', 1), ...field(2, 'b')]));
    expectRoundTrip([twice, twice, long].map((set) => encodeSeriesEntry('', set)));
  });
});

describe('a record of many labels', () => {
  const set = (count: number, value: string) =>
    encodeSeriesEntry(
      '',
      labels(...Array.from({ length: count }, (_, i) => [`n${i}`, value] as const)),
    );

  it('has a mask for each 28 of them', () => {
    const part = encodeEntries([set(29, 'v'), set(29, 'v')]);
    const second = [0, 0, 0];
    expect([...part.subarray(0, 11)]).toEqual([10, 0, 29, 0xff, 0xff, 0xff, 0x7f, 1, ...second]);
  });

  it.each([27, 28, 29, 31, 32, 33, 56, 57, 500])('comes back when it has %i', (count) => {
    expectRoundTrip([set(count, 'a'), set(count, 'b'), set(count, 'b'), set(count, 'a')]);
  });
});

describe('the dictionary of real traffic', () => {
  const behindZstd = (entries: Uint8Array[]) =>
    compressFrame(encodeEntries(entries), ZSTD_LEVEL).length;

  it('comes back byte for byte', () => {
    expectRoundTrip([...series, ...metadata]);
    expectRoundTrip([...series, ...metadata].toReversed());
  });

  it('takes at most 2.5 bytes a series and 22 a metadata record, 17 beside the series', () => {
    const seriesBytes = behindZstd(series);
    expect(seriesBytes / series.length).toBeLessThan(2.5);
    expect(behindZstd(metadata) / metadata.length).toBeLessThan(22);
    const bothBytes = behindZstd([...series, ...metadata]);
    expect((bothBytes - seriesBytes) / metadata.length).toBeLessThan(17);
  });

  it('takes less than length and bytes of each entry, for a few series too', () => {
    for (const count of [1, 2, 5, 20, 100]) {
      for (let from = 0; from < series.length; from += 500) {
        const entries = series.slice(from, from + count);
        const plain = Buffer.concat(
          entries.flatMap((entry) => [field(1, entry).slice(1)].map(Buffer.from)),
        );
        expect(behindZstd(entries)).toBeLessThanOrEqual(compressFrame(plain, ZSTD_LEVEL).length);
      }
    }
  });
});

describe('a damaged dictionary part', () => {
  const sound = encodeEntries([...EXAMPLE, ...series.slice(0, 30), ...metadata.slice(0, 5)]);
  const limit = { entriesMax: 100, bytesMax: 20_000 };

  it('is refused when it is cut off, at every place', () => {
    expect(decodeEntries(sound, limit).length).toBe(39);
    for (let end = 1; end < sound.length; end++) {
      expect(() => decodeEntries(sound.subarray(0, end), limit)).toThrow(DecodeError);
    }
  });

  it('is refused or read as other entries within the limits, whatever bit is flipped', () => {
    let refused = 0;
    for (let bit = 0; bit < sound.length * 8; bit++) {
      const damaged = sound.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      refused += isRefused(damaged) ? 1 : 0;
    }
    expect(refused).toBeGreaterThan(0);
  });

  it('is refused or read within the limits when it is any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void isRefused(bytes)));
  });

  function isRefused(part: Uint8Array): boolean {
    try {
      const entries = decodeEntries(part, limit);
      expect(entries.length).toBeLessThanOrEqual(limit.entriesMax);
      const bytes = entries.reduce((sum, entry) => sum + entry.length, 0);
      expect(bytes).toBeLessThanOrEqual(limit.bytesMax);
      return false;
    } catch (error) {
      expect(error).toBeInstanceOf(DecodeError);
      return true;
    }
  }

  const END = 0xff;
  const OPEN = [0, 1];
  const HEAD = [1, 0, END];
  it.each([
    ['an unknown shape', [1], [], 'no shape 1'],
    ['a mask beyond the names', [...OPEN, 2], [...HEAD, 97, END], 'a mask'],
    ['a column that never had a value', [...OPEN, 0], [...HEAD, 97, END], 'without a value'],
    ['an unknown value', [...OPEN, 1, 0, 1, 4], [...HEAD, 97, END, 98, END], 'no value 2'],
    [
      'more than the last value shared',
      [...OPEN, 1, 0, 1, 2],
      [...HEAD, 97, END, 98, END, 2, END],
      '2 bytes of 1',
    ],
    ['a wrong escape', [...OPEN, 1], [...HEAD, 97, END, 0xfe, 2, END], 'escape'],
    ['an escape that is cut off', [...OPEN, 1], [...HEAD, 97, END, 0xfe, END], 'escape'],
    ['another kind', [0, 0], [3, 0, END], 'kind 3'],
    ['metadata with a fixed64', [...OPEN, 1], [2, 0, END, 9, END, 98, END], 'tag 9'],
    ['metadata with a long tag', [...OPEN, 1], [2, 0, END, 0x8a, END, 98, END], 'tag 138'],
    ['texts left over', [...OPEN, 1], [...HEAD, 97, END, 98, END, END], 'texts'],
  ])('is refused for %s', (_, numbers, texts, message) => {
    const part = Uint8Array.from([numbers.length, ...numbers, ...texts]);
    expect(() => decodeEntries(part, limit)).toThrow(DecodeError);
    expect(() => decodeEntries(part, limit)).toThrow(message);
  });
});

describe('the limit of a dictionary part', () => {
  const bytes = EXAMPLE.reduce((sum, entry) => sum + entry.length, 0);
  const part = encodeEntries(EXAMPLE);

  it('is met by exactly so many entries and bytes', () => {
    expect(decodeEntries(part, { entriesMax: 4, bytesMax: bytes })).toEqual(EXAMPLE);
    expect(() => decodeEntries(part, { entriesMax: 3, bytesMax: bytes })).toThrow('3 entries');
    expect(() => decodeEntries(part, { entriesMax: 4, bytesMax: bytes - 1 })).toThrow('expands');
  });

  it('holds against a small part that repeats a long value', () => {
    const first = encodeEntries([encodeSeriesEntry('', labels(['a', 'v'.repeat(60_000)]))]);
    // Shape 0, its one value: new, 60,000 bytes of the last one and nothing else.
    const numbers = [...first.subarray(1, 1 + first[0]!), ...Array(5000).fill([0, 1, 2]).flat()];
    const texts = [
      ...first.subarray(1 + first[0]!),
      ...Array(5000)
        .fill([...varint(60_000), 0xff])
        .flat(),
    ];
    const bomb = Uint8Array.from([...varint(numbers.length), ...numbers, ...texts]);
    const limit = { entriesMax: 1e6, bytesMax: 2 ** 20 };
    expect(() => decodeEntries(bomb, limit)).toThrow('expands to over 1048576 bytes');
  });

  it('holds within one record whose names all say the same column', () => {
    const names = Array.from({ length: 84 }, () => [0x61, 0xff]).flat();
    const all = [0xff, 0xff, 0xff, 0x7f];
    // The third mask is missing: without the limit the part is found to be cut off.
    const numbers = [0, 84, ...all, ...Array(27).fill(2), ...all, ...Array(28).fill(2)];
    const values = [...Array(60_000).fill(0x62), 0xff];
    const again = [...varint(60_000), 0xff];
    const texts = [1, 0, 0xff, ...names, ...values, ...Array(55).fill(again).flat()];
    const bomb = Uint8Array.from([numbers.length, ...numbers, ...texts]);
    expect(() => decodeEntries(bomb, NO_LIMIT)).toThrow('cut off');
    const limit = { entriesMax: 1, bytesMax: 2 ** 20 };
    expect(() => decodeEntries(bomb, limit)).toThrow('expands to over');
  });

  it('holds for the names of a shape', () => {
    const shape = encodeEntries([encodeSeriesEntry('', labels(['a'.repeat(1000), 'b']))]);
    const cut = shape.subarray(0, -2);
    expect(() => decodeEntries(cut, { entriesMax: 1, bytesMax: 900 })).toThrow('expands');
  });
});
