import { describe, expect, test } from 'vitest';
import { compareSamples, labelSetString, type SamplesBySeries } from './compare.ts';

const quietNaN = 0x7ff8_0000_0000_0002n;
const staleMarker = 0x7ff0_0000_0000_0002n;

function threeSamples(): SamplesBySeries {
  return new Map([
    [
      '{__name__="a"}',
      [
        { timestamp: 1000, bits: 1n },
        { timestamp: 2000, bits: 2n },
        { timestamp: 3000, bits: staleMarker },
      ],
    ],
  ]);
}

/** `threeSamples` after `change` to the rows of its only series. */
function changed(change: (rows: { timestamp: number; bits: bigint }[]) => void): SamplesBySeries {
  const samples = threeSamples();
  change(samples.get('{__name__="a"}')!);
  return samples;
}

describe('compareSamples', () => {
  test('finds nothing when both hold the same', () => {
    expect(compareSamples(threeSamples(), threeSamples())).toEqual([]);
  });

  test.each<[string, SamplesBySeries, string]>([
    ['a sample removed', changed((rows) => rows.splice(1, 1)), 'sample 1'],
    ['the last sample removed', changed((rows) => rows.pop()), 'absent at the destination'],
    ['a sample twice', changed((rows) => rows.splice(1, 0, rows[1]!)), '3 samples against 4'],
    ['a bit changed', changed((rows) => (rows[0]!.bits ^= 1n)), '0x0000000000000000'],
    ['a stale marker made quiet', changed((rows) => (rows[2]!.bits = quietNaN)), 'sample 2'],
    ['a timestamp moved', changed((rows) => rows[0]!.timestamp++), '1970-01-01T00:00:01.001Z'],
    ['two samples in the wrong order', changed((rows) => rows.reverse()), 'sample 0'],
  ])('names %s', (_what, destination, message) => {
    expect(compareSamples(threeSamples(), destination)).toEqual([expect.stringContaining(message)]);
  });

  test('names series that only one side has', () => {
    expect(compareSamples(threeSamples(), new Map())).toEqual([
      '{__name__="a"}: missing at the destination, 3 samples',
    ]);
    expect(compareSamples(new Map(), threeSamples())).toEqual([
      '{__name__="a"}: only at the destination, 3 samples',
    ]);
  });

  test('says how many more differ rather than all of them', () => {
    const many: SamplesBySeries = new Map();
    for (let index = 0; index < 1000; index++) many.set(`{a="${index}"}`, []);
    const differences = compareSamples(many, new Map());
    expect(differences).toHaveLength(21);
    expect(differences.at(-1)).toBe('and 980 more series that differ');
  });
});

test('label sets are the same string in whatever order the labels come', () => {
  const one = labelSetString([
    ['b', 'q"\n'],
    ['__name__', '船'],
  ]);
  const other = labelSetString([
    ['__name__', '船'],
    ['b', 'q"\n'],
  ]);
  expect(one).toBe('{__name__="船", b="q\\"\\n"}');
  expect(other).toBe(one);
});
