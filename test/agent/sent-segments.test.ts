import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SentSegments } from '../../agent/ship/sent-segments.ts';

const range = fc
  .record({ first: fc.integer({ min: 11, max: 300 }), more: fc.nat(8) })
  .map(({ first, more }) => ({ first, last: first + more }));

test('what was sent is known, and nothing else, as long as it is a few ranges', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 60 }), fc.array(range), (added, asked) => {
      const sent = new SentSegments(10);
      for (const { first, last } of added) sent.add(first, last);
      for (const { first, last } of asked) {
        const isSent = added.some((one) => one.first <= last && first <= one.last);
        expect(sent.mayHold(first, last)).toBe(isSent);
      }
    }),
  );
});

test('what an earlier run left may have been sent', () => {
  const sent = new SentSegments(10);
  expect(sent.mayHold(10, 20)).toBe(true);
  expect(sent.mayHold(11, 20)).toBe(false);
});

test('a backlog does not become sent because live batches overtake it, those of others between', () => {
  const sent = new SentSegments(0);
  // Every second segment is another tenant's.
  for (let batch = 0; batch < 500; batch++) {
    sent.add(100_000 + batch * 10, 100_000 + batch * 10 + 8);
    sent.add(1 + batch * 10, 1 + batch * 10 + 8);
    const next = 1 + (batch + 1) * 10;
    expect(sent.mayHold(next, next + 8)).toBe(false);
    expect(sent.mayHold(1 + batch * 5, 1 + batch * 5)).toBe(true);
  }
  expect(sent.mayHold(100_000, 100_000)).toBe(true);
  expect(sent.mayHold(20_000, 90_000)).toBe(false);
});
