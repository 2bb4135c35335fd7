import { expect, test } from 'vitest';
import { batchSection, toBatchConfig } from '../../agent/batch-config.ts';
import { checkConfig } from '../../base/config-file.ts';
import { section } from '../../base/settings.ts';

const schema = section({ batch: batchSection }).transform(({ batch }) => toBatchConfig(batch));
const check = (max_delay: unknown) => checkConfig({ batch: { max_delay } }, schema);

test.each([
  ['15s', { maxDelayMs: 15_000 }],
  [
    { min: '5s', max: '1m' },
    { minDelayMs: 5000, maxDelayMs: 60_000 },
  ],
  [
    { min: '100ms', max: '5m' },
    { minDelayMs: 100, maxDelayMs: 300_000 },
  ],
  [
    { min: '5s', max: '5s' },
    { minDelayMs: 5000, maxDelayMs: 5000 },
  ],
])('batch.max_delay takes %j', (maxDelay, expected) => {
  expect(check(maxDelay)).toEqual({ kind: 'config', value: { ...expected, samplesMax: 100_000 } });
});

const FORM = 'expected a duration such as 250ms, 15s, 1h30m or 1d, 100ms to 5m';

test.each([
  [5, [`batch.max_delay: 5: ${FORM}, or {min, max} of such`]],
  ['6m', [`batch.max_delay: "6m": ${FORM}, or {min, max} of such`]],
  [['5s'], [`batch.max_delay: ["5s"]: ${FORM}, or {min, max} of such`]],
  [{ min: '5s' }, [`batch.max_delay.max: missing: ${FORM}`]],
  [
    { min: '50ms', max: '6m' },
    [`batch.max_delay.min: "50ms": ${FORM}`, `batch.max_delay.max: "6m": ${FORM}`],
  ],
  [
    { min: '1m', max: '5s' },
    ['batch.max_delay.min: "1m": expected at most batch.max_delay.max, which is 5s'],
  ],
  [
    { min: '5s', max: '1m', maximum: '1m' },
    ['batch.max_delay.maximum: unknown key: known here are min, max'],
  ],
])('batch.max_delay %j is refused with the reason', (maxDelay, lines) => {
  expect(check(maxDelay)).toEqual({ kind: 'errors', lines });
});
