import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
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

describe('packs that hold a part of each of the same segments', () => {
  const part = (firstSample: number, samples: number, id = 20) => ({
    ...{ id, lastId: id + 5, firstSample, samples },
    positions: [{ run: 1n, first: 100 + firstSample, last: 100 + firstSample }],
  });

  test('are sent one by one', () => {
    const sent = new SentSegments(10);
    sent.addPack(part(0, 50));
    for (const one of [part(0, 50), part(0, 20), part(49, 10)]) {
      expect(sent.mayHoldPack(one)).toBe(true);
      expect(sent.mayKnow(one)).toBe(true);
    }
    for (const one of [part(50, 50), part(0, 50, 30)]) {
      expect(sent.mayHoldPack(one)).toBe(false);
      expect(sent.mayKnow(one)).toBe(false);
    }
    expect(sent.mayHold(20, 25)).toBe(false);
  });

  test('may be redelivered when a segment was sent, but the hub knows them by other positions', () => {
    const sent = new SentSegments(10);
    sent.add(22, 22);
    expect(sent.mayHoldPack(part(0, 50))).toBe(true);
    expect(sent.mayKnow(part(0, 50))).toBe(false);
    // Those of an earlier run may have been sent by it.
    expect(sent.mayKnow(part(0, 50, 4))).toBe(true);
  });

  test('are not told from a pack of whole segments, which is sent with them', () => {
    const sent = new SentSegments(10);
    const positions = [{ run: 1n, first: 11, last: 16 }];
    sent.addPack({ ...part(0, 50), positions });
    expect(sent.mayHold(22, 22)).toBe(true);
    expect(sent.mayKnow({ ...part(0, 50), positions })).toBe(true);
  });

  test('are taken for sent together once there are many places', () => {
    const sent = new SentSegments(10);
    for (let place = 0; place < 100; place++) sent.addPack(part(0, 50, 20 + place * 10));
    expect(sent.mayHoldPack(part(50, 50, 20))).toBe(true);
    expect(sent.mayHoldPack(part(50, 50, 20 + 99 * 10))).toBe(false);
  });
});
