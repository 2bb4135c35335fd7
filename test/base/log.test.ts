import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { boundedLog } from '../../base/log.ts';
import { SettableClock } from '../tools/settable-clock.ts';

function collect() {
  const lines: { msg: string; withheld?: number }[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)));
      done();
    },
  });
  return { lines, log: pino({ base: null }, sink) };
}

test('a repeated fault logs so many lines a minute, then says how many it withheld', () => {
  const { lines, log } = collect();
  let nowMs = 0;
  const clock = { now: () => nowMs, elapsedMs: () => nowMs, sleep: () => Promise.resolve() };
  const bounded = boundedLog(log, { perMinute: 2 }, clock);
  for (let i = 0; i < 10; i++) bounded.warn('refused', {}, `line ${i}`);
  bounded.error('other', {}, 'another kind is not held back');
  nowMs = 60_000;
  bounded.warn('refused', {}, 'next minute');
  expect(lines.map((line) => [line.msg, line.withheld])).toEqual([
    ['line 0', undefined],
    ['line 1', undefined],
    ['another kind is not held back', undefined],
    ['next minute', 8],
  ]);
});

test('keys without end share one allowance instead of memory without end', () => {
  const { lines, log } = collect();
  const clock = { now: () => 0, elapsedMs: () => 0, sleep: () => Promise.resolve() };
  const bounded = boundedLog(log, { perMinute: 1 }, clock);
  for (let i = 0; i < 5000; i++) bounded.warn(`key ${i}`, {}, 'line');
  expect(lines).toHaveLength(1001);
});

test('a clock that was set back does not silence the log', () => {
  const { lines, log } = collect();
  const clock = new SettableClock(1e12);
  const bounded = boundedLog(log, { perMinute: 1 }, clock);
  bounded.warn('key', {}, 'before');
  clock.ownMs = 0;
  clock.pass(60_000);
  bounded.warn('key', {}, 'after');
  expect(lines.map((line) => line.msg)).toEqual(['before', 'after']);
});
