import { describe, expect, test } from 'vitest';
import { readHistogram } from '../../../proto/objects/histogram.ts';
import { HistogramCheck } from '../../../proto/objects/histogram-check.ts';
import { reduceHistogram } from '../../../proto/objects/histogram-reduction.ts';

const EIGHT_ZEROS = [0, 0, 0, 0, 0, 0, 0, 0];
const COUNT_INT = [0x08, 3];
const COUNT_FLOAT = [0x11, ...EIGHT_ZEROS];
const ZERO_COUNT_INT = [0x30, 1];
const ZERO_COUNT_FLOAT = [0x39, ...EIGHT_ZEROS];
/** One bucket of two observations. */
const BUCKETS = [0x5a, 2, 0x10, 1, 0x62, 1, 4];

describe('a histogram in its canonical form', () => {
  test('has of each oneof the member that was sent last', () => {
    const sent = [...ZERO_COUNT_FLOAT, ...COUNT_FLOAT, ...BUCKETS, ...COUNT_INT, ...ZERO_COUNT_INT];
    const { bytes } = readHistogram(Uint8Array.from(sent), 0, sent.length);
    expect([...bytes]).toEqual([...COUNT_INT, ...ZERO_COUNT_INT, ...BUCKETS]);
    const other = [...COUNT_INT, ...COUNT_FLOAT, ...COUNT_FLOAT];
    const last = readHistogram(Uint8Array.from(other), 0, other.length);
    expect([...last.bytes]).toEqual([...COUNT_FLOAT, ...COUNT_FLOAT]);
  });

  test('is judged as it was when it came', () => {
    const schema = [0x20, 18];
    const sent = Uint8Array.from([
      ...schema,
      ...COUNT_FLOAT,
      ...COUNT_INT,
      ...BUCKETS,
      ...ZERO_COUNT_FLOAT,
      ...ZERO_COUNT_INT,
    ]);
    const check = new HistogramCheck();
    const reduced = (): Uint8Array => reduceHistogram(check.content, sent, 0, sent.length);
    expect(check.problemOf(sent, 0, sent.length)).toBeUndefined();
    for (const bytes of [sent, reduced()]) {
      const canonical = readHistogram(bytes, 0, bytes.length).bytes;
      expect(check.problemOf(canonical, 0, canonical.length)).toBeUndefined();
    }
  });
});
