import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WaitingLedger } from '../../agent/buffer/waiting-ledger.ts';

interface Segment {
  run: string;
  sequence: number;
  samples: number;
  oldest: number;
  newest: number;
}

function rangeOf({ run, sequence, samples, oldest, newest }: Segment) {
  return { run, first: sequence, last: sequence, samples, oldest, newest };
}

type Action = 'seal' | 'restart' | { add: number } | { answer: number } | { lose: number };

const action: fc.Arbitrary<Action> = fc.oneof(
  fc.constantFrom<Action>('seal', 'restart'),
  fc.record({ add: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ answer: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ lose: fc.nat(30) }),
);

describe('the ledger of what waits', () => {
  test('has the samples of all that waits, each within the times of its range', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const ledger = new WaitingLedger();
        let waiting: Segment[] = [];
        let run = 0;
        let sequence = 0;
        const remove = (gone: Segment[]): void => {
          for (const segment of gone) {
            ledger.remove('a', rangeOf(segment), segment.samples);
            waiting = waiting.filter((other) => other !== segment);
          }
        };
        for (const [at, step] of actions.entries()) {
          if (step === 'seal') ledger.seal();
          else if (step === 'restart') [run, sequence] = [run + 1, 0];
          else if ('answer' in step) remove(waiting.slice(0, step.answer));
          else if ('lose' in step) remove(waiting.slice(step.lose, step.lose + 1));
          else {
            const times = { oldest: at * 10, newest: at * 10 + step.add };
            const segment = { run: `run${run}`, sequence: ++sequence, samples: step.add, ...times };
            waiting.push(segment);
            ledger.add('a', rangeOf(segment));
          }
        }
        const ranges = ledger.snapshot()['a'] ?? [];
        const sum = (items: { samples: number }[]): number =>
          items.reduce((total, { samples }) => total + samples, 0);
        expect(sum(ranges)).toBe(sum(waiting));
        for (const segment of waiting) {
          expect(
            ranges.some(
              ({ run: of, first, last, oldest, newest }) =>
                of === segment.run &&
                first <= segment.sequence &&
                segment.sequence <= last &&
                oldest <= segment.oldest &&
                segment.newest <= newest,
            ),
          ).toBe(true);
        }
      }),
    );
  });

  test('stays small however long an outage lasts', () => {
    const ledger = new WaitingLedger();
    for (let sequence = 1; sequence <= 10_000; sequence++) {
      const [oldest, newest] = [sequence * 1000, sequence * 1000 + 999];
      ledger.add('a', rangeOf({ run: 'r', sequence, samples: 10, oldest, newest }));
      ledger.seal();
    }
    const ranges = ledger.snapshot()['a']!;
    expect(ranges.length).toBeLessThanOrEqual(32);
    expect([ranges[0]!.first, ranges.at(-1)!.last]).toEqual([1, 10_000]);
    // What came last has the narrowest range: it is the likeliest to vanish.
    expect(ranges.at(-1)!.newest - ranges.at(-1)!.oldest).toBeLessThan(1_000_000);
  });

  test('a copy changes alone', () => {
    const ledger = new WaitingLedger();
    const segment = { run: 'r', sequence: 1, samples: 10, oldest: 0, newest: 1 };
    ledger.add('a', rangeOf(segment));
    const copy = ledger.copy();
    copy.remove('a', rangeOf(segment), 10);
    expect([ledger.size, copy.size]).toEqual([1, 0]);
  });
});
