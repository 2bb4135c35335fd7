import { expect, test } from 'vitest';
import {
  type Answer,
  DESTINATION_STATES,
  decodeAnswer,
  decodeHubState,
  encodeAnswer,
  encodeHubState,
  type HubState,
} from '../../proto/answer.ts';
import { DecodeError } from '../../proto/bytes.ts';
import { emptySettlement } from '../../proto/settlement.ts';
import { field, fixed64 } from './wire-fixture.ts';

const HUGE = 2n ** 64n - 1n;

const answer: Answer = {
  settlement: {
    accepted: 2 ** 52,
    deduplicated: 2,
    redelivered: 3,
    unknown: 4,
    refused: new Map([
      ['out_of_order', 5],
      ['other', 6],
    ]),
  },
  dictionaryOffset: 2 ** 32 - 1,
  hubClockMs: 1_800_000_000_000,
  hub: HUGE,
};

const state: HubState = {
  reason: 'partly answered',
  hub: HUGE,
  epochs: [
    { epoch: HUGE, offset: 3, hash: HUGE - 1n },
    { epoch: 1n, offset: 0, hash: 0n },
  ],
  tenants: [
    { tenant: '', answered: [] },
    {
      tenant: 'second',
      live: { stream: HUGE, nextSequence: 7, answers: [{ sequence: 6, answer }] },
      answered: [
        { run: HUGE, first: 1, last: 1 },
        { run: 2n, first: 5, last: 2 ** 40 },
      ],
      packs: {
        stream: HUGE - 1n,
        nextSequence: 9,
        answers: [
          { sequence: 0, answer },
          { sequence: 8, answer },
        ],
      },
    },
    {
      tenant: 'third',
      answered: [],
      packs: { stream: 1n, nextSequence: 0, answers: [] },
    },
  ],
  currentRun: HUGE,
  currentAddress: '192.0.2.1:5',
  formats: [1, 2],
  hubClockMs: 1,
  aheadMaxMs: 300_000,
};

test('an answer is read as it was written', () => {
  expect(decodeAnswer(encodeAnswer(answer))).toEqual(answer);
  for (const destination of DESTINATION_STATES) {
    const telling: Answer = { ...answer, destination };
    expect(decodeAnswer(encodeAnswer(telling))).toEqual(telling);
  }
  const bounded: Answer = { ...answer, oldestAcceptedMs: 1_800_000_000_000 };
  expect(decodeAnswer(encodeAnswer(bounded))).toEqual(bounded);
  const plain: Answer = { settlement: emptySettlement(), dictionaryOffset: 0, hubClockMs: 0 };
  expect(decodeAnswer(encodeAnswer(plain))).toEqual(plain);
});

test('the answer to a batch that went well is a few bytes', () => {
  const settlement = { ...emptySettlement(), accepted: 5000 };
  const bytes = encodeAnswer({ settlement, dictionaryOffset: 7000, hubClockMs: 1_800_000_000_000 });
  expect(bytes.length).toBeLessThanOrEqual(13);
});

test('the state of a hub is read as it was written', () => {
  expect(decodeHubState(encodeHubState(state))).toEqual(state);
});

test('what no hub has written is refused, an empty body included', () => {
  expect(() => decodeHubState(new Uint8Array(0))).toThrow('no hub');
  for (const page of ['<html>', 'OK\n', '{"status":"ok"}', '\u0000']) {
    expect(() => decodeHubState(Buffer.from(page))).toThrow(DecodeError);
    expect(() => decodeAnswer(Buffer.from(page))).toThrow(DecodeError);
  }
});

test('an answer to a pack that has none in it is refused', () => {
  const bytes = Uint8Array.from([
    ...[0x11, ...fixed64(1n)],
    ...field(4, [0x31, ...fixed64(5n), ...field(8, [0x08, 1])]),
  ]);
  expect(() => decodeHubState(bytes)).toThrow('an answer to a batch that is none');
});

test('a state of the destination that only a newer hub knows reads as none', () => {
  const known = encodeAnswer({ ...answer, destination: 'refusing' });
  expect([...known.subarray(-2)]).toEqual([0x50, 5]);
  expect(decodeAnswer(Uint8Array.from([...known.subarray(0, -1), 6]))).toEqual(answer);
});

test('a reason that a hub of an earlier version calls unknown is another one', () => {
  const old = { ...emptySettlement(), unknown: 1, refused: new Map([['unknown' as 'other', 2]]) };
  const { settlement } = decodeAnswer(
    encodeAnswer({ settlement: old, dictionaryOffset: 0, hubClockMs: 1 }),
  );
  expect(settlement).toEqual({ ...old, refused: new Map([['other', 2]]) });
});
