import { expect, test } from 'vitest';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { timeRange } from '../../proto/time-range.ts';
import { exemplarBytes } from './objects/columns-fixture.ts';

test('an exemplar is within the times of its columns', () => {
  const columns = new SampleColumns();
  columns.pushObject('exemplar', 0, 90, exemplarBytes('x'));
  columns.push(0, 5, 0, 0);
  columns.pushObject('exemplar', 0, 1, exemplarBytes('x'));
  expect(timeRange(columns)).toEqual({ oldest: 1, newest: 90 });
});
