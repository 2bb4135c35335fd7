import { expect, test } from 'vitest';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { newestSample, timeRange } from '../../proto/time-range.ts';
import { exemplarBytes, histogramBytes } from './objects/columns-fixture.ts';

test('an exemplar is within the times of its columns, and is never the newest sample', () => {
  const columns = new SampleColumns();
  columns.pushObject('exemplar', 0, 90, exemplarBytes('x'));
  expect(newestSample(columns)).toBe(90);
  columns.push(0, 5, 0, 0);
  columns.pushObject('exemplar', 0, 1, exemplarBytes('x'));
  columns.pushObject('histogram', 0, 7, histogramBytes(1, 1, 1));
  columns.pushObject('exemplar', 0, 80, exemplarBytes('x'));
  expect(newestSample(columns)).toBe(7);
  expect(timeRange(columns)).toEqual({ oldest: 1, newest: 90 });
});
