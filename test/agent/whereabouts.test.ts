import { expect, test } from 'vitest';
import { BatchDelivery } from '../../agent/ship/batch-delivery.ts';
import type { EncodedBatch } from '../../agent/ship/contracts.ts';
import type { HubReply } from '../../agent/ship/hub-client.ts';
import type { Replies } from '../../agent/ship/replies.ts';
import { findBatch } from '../../agent/ship/whereabouts.ts';
import type { Answer, HubState, RowState } from '../../proto/answer.ts';
import { emptySettlement } from '../../proto/settlement.ts';

const answer: Answer = {
  settlement: { ...emptySettlement(), accepted: 1 },
  dictionaryOffset: 0,
  hubClockMs: 0,
};
const row: RowState = { stream: 7n, nextSequence: 4, answers: [{ sequence: 2, answer }] };

test.each([
  ['the next one', 4, 'not there'],
  ['one behind the next', 5, 'early'],
  ['one that was taken in', 3, 'being written'],
  ['one that was answered', 2, answer],
])('what the hub says of %s', (_, sequence, expected) => {
  expect(findBatch(row, { stream: 7n, sequence }, 2)).toEqual(expected);
});

test('a hub that has another row, or has forgotten what was answered, knows nothing', () => {
  expect(findBatch(row, { stream: 8n, sequence: 4 }, 4)).toBeUndefined();
  expect(findBatch(undefined, { stream: 7n, sequence: 4 }, 4)).toBeUndefined();
  expect(findBatch(row, { stream: 7n, sequence: 5 }, 5)).toBeUndefined();
});

/** What the sender of a batch does once nothing moves, and the hub says `nextSequence`. */
async function suspect(sequence: number, nextSequence: number, firstAfterwards = 3) {
  let first = 3;
  const state = { tenants: [{ tenant: '', live: { ...row, nextSequence }, answered: [] }] };
  let verdict: string | undefined;
  const ending = new AbortController();
  const delivery = new BatchDelivery({
    tenant: '',
    traffic: 'live',
    first: () => first,
    tools: {
      link: {
        postBatch: async (_frame, _signal, _kind, suspicion): Promise<HubReply> => {
          verdict = await suspicion?.();
          ending.abort();
          return { kind: 'unreachable', message: '' };
        },
        askPositions: async () => {
          first = firstAfterwards;
          return { kind: 'state', state: state as unknown as HubState };
        },
        bodyBytes: () => 1,
        atOnce: () => 3,
      },
    },
    replies: { settle: async () => 'again', pause: async () => {} } as unknown as Replies,
    isDeadly: () => false,
  });
  const batch = { frame: new Uint8Array(1), stream: 7n, sequence, samples: 1 } as EncodedBatch;
  await delivery.deliver(batch, ending.signal);
  return verdict;
}

test('a batch that waits for its turn at the hub is left alone; the next one is sent again', async () => {
  expect(await suspect(5, 4)).toBe('wait');
  expect(await suspect(4, 4)).toBe('over');
});

test('an answer that came while the hub was asked does not make a stranger of the stream', async () => {
  expect(await suspect(4, 3, 4)).toBe('wait');
});
