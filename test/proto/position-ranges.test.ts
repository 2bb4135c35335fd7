import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type PositionRange, PositionSet, withoutPositions } from '../../proto/position-ranges.ts';

const range = fc
  .record({
    run: fc.bigInt({ min: 1n, max: 3n }),
    first: fc.integer({ min: 1, max: 40 }),
    more: fc.nat(8),
  })
  .map(({ run, first, more }): PositionRange => ({ run, first, last: first + more }));

function positionsOf({ run, first, last }: PositionRange): string[] {
  return Array.from({ length: last - first + 1 }, (_, more) => `${run}/${first + more}`);
}

describe('a set of positions', () => {
  test('holds what was added and nothing else, in ranges that neither touch nor overlap', () => {
    fc.assert(
      fc.property(fc.array(range), fc.array(range), (added, asked) => {
        const set = new PositionSet();
        const model = new Set<string>();
        for (const one of added) {
          set.add(one);
          for (const position of positionsOf(one)) model.add(position);
        }
        const ranges = [...set.ranges()];
        expect(new Set(ranges.flatMap(positionsOf))).toEqual(model);
        for (const [index, { run, first }] of ranges.entries()) {
          const before = ranges[index - 1];
          if (before?.run === run) expect(first).toBeGreaterThan(before.last + 1);
        }
        for (const one of asked) {
          const held = positionsOf(one).filter((position) => model.has(position)).length;
          const all = positionsOf(one).length;
          expect(set.coverage(one)).toBe(held === 0 ? 'none' : held === all ? 'all' : 'some');
        }
      }),
    );
  });

  test('that grows in order is one range, however long it grows', () => {
    const set = new PositionSet();
    for (let at = 1; at <= 1000; at++) set.add({ run: 7n, first: at, last: at });
    expect([...set.ranges()]).toEqual([{ run: 7n, first: 1, last: 1000 }]);
  });

  test('forgets the oldest runs and the lowest ranges beyond its bounds', () => {
    const set = new PositionSet();
    for (const run of [9n, 1n, 5n]) {
      for (const at of [5, 1, 3, 7]) set.add({ run, first: at, last: at });
    }
    set.bound({ runsMax: 2, rangesMax: 3 });
    expect([...set.ranges()].map(({ run, first }) => `${run}/${first}`)).toEqual([
      '1/3',
      '1/5',
      '1/7',
      '5/3',
      '5/5',
      '5/7',
    ]);
  });
});

test('what is left without some positions is all the others', () => {
  fc.assert(
    fc.property(fc.array(range), fc.array(range), (ranges, taken) => {
      const gone = new Set(taken.flatMap(positionsOf));
      const left = ranges.flatMap(positionsOf).filter((position) => !gone.has(position));
      expect(withoutPositions(ranges, taken).flatMap(positionsOf).toSorted()).toEqual(
        left.toSorted(),
      );
    }),
  );
});
