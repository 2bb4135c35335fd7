import { describe, expect, it } from 'vitest';
import { ObjectCursor, type RowObject } from '../../proto/sample-columns.ts';
import { seededRandom } from '../tools/seeded-random.ts';

const BYTES = new Uint8Array(0);

/** An object that counts how often somebody looks where it stands. */
function watched(row: number, looks: { count: number }): RowObject {
  return {
    kind: 'histogram',
    bytes: BYTES,
    get row() {
      looks.count++;
      return row;
    },
  };
}

describe('ObjectCursor', () => {
  it('finds the objects of rows in any order', () => {
    const random = seededRandom('cursor');
    const rows = Array.from({ length: 200 }, (_, row) => row);
    const objects = rows
      .filter(() => random.float() < 0.3)
      .map((row): RowObject => ({ row, kind: 'exemplar', bytes: BYTES }));
    const cursor = new ObjectCursor(objects);
    const jumps = Array.from({ length: 2000 }, () => Math.floor(random.float() * 210));
    for (const row of [...rows, ...jumps, ...rows.toReversed()]) {
      expect(cursor.at(row)).toBe(objects.find((object) => object.row === row));
    }
    expect(new ObjectCursor([]).at(3)).toBeUndefined();
  });

  it('does not walk over all that lies between a sample and its exemplar', () => {
    const pairs = 2000;
    const looks = { count: 0 };
    const objects = Array.from({ length: pairs * 2 }, (_, row) => watched(row, looks));
    const cursor = new ObjectCursor(objects);
    for (let row = 0; row < pairs; row++) {
      expect(cursor.at(row)).toBe(objects[row]);
      expect(cursor.at(pairs + row)).toBe(objects[pairs + row]);
    }
    expect(looks.count).toBeLessThan(pairs * 2 * 30);
  });
});
