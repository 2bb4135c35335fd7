import { describe, expect, test } from 'vitest';
import { type Batch, decodeBatch, encodeBatch, withRun } from '../../proto/batch.ts';
import { DecodeError } from '../../proto/bytes.ts';
import { varint } from './wire-fixture.ts';
import { exampleBatch, examplePack, readBatch } from './wire-format-example.ts';

const HUGE = 2n ** 64n - 1n;
const { dictionary } = exampleBatch();

const keyframe: Batch = {
  ...exampleBatch(),
  run: HUGE,
  stream: HUGE - 1n,
  keyframe: { tenant: 'überall', samplesFormat: 3, epoch: HUGE - 2n, epochsInUse: [1n, HUGE] },
  dictionary: { ...dictionary!, offset: 2 ** 32 - 1, hash: HUGE },
  positions: [
    { run: 1n, first: 2 ** 40, last: 2 ** 40 },
    { run: HUGE, first: 1, last: 2 ** 41 },
  ],
  mayBeRedelivered: true,
};

const pack: Batch = {
  ...examplePack(),
  stream: HUGE,
  sequence: 2 ** 32 - 1,
  positions: [
    { run: 1n, first: 5, last: 9 },
    { run: HUGE, first: 2, last: 2 },
  ],
  mayBeRedelivered: true,
  unordered: true,
};

const others: Batch[] = [
  exampleBatch(),
  examplePack(),
  pack,
  {
    lane: 'dictionary',
    run: HUGE,
    sentAtMs: -5,
    epoch: HUGE,
    epochsInUse: [1n, 2n],
    dictionary: dictionary!,
  },
  { lane: 'heartbeat', run: 1n, sentAtMs: 2 ** 53 - 1 },
];

describe('a batch', () => {
  test.each([keyframe, ...others])('of the lane "$lane" is read as it was written', (batch) => {
    expect(readBatch(encodeBatch(batch))).toEqual(batch);
  });

  test('behind the keyframe leaves out what the stream knows', () => {
    const { keyframe: _, dictionary: __, ...rest } = exampleBatch();
    const batch = {
      ...rest,
      sequence: 7,
      positions: [...rest.positions, { run: 9n, first: 3, last: 3 }],
    };
    const read = readBatch(encodeBatch(batch));
    if (read.lane !== 'live') throw new Error(read.lane);
    expect(read).not.toHaveProperty('keyframe');
    expect(read.run).toBe(0n);
    expect(withRun(read, batch.run)).toEqual(batch);
  });

  test('of a row of packs names its run and states its dictionary behind the first as well', () => {
    const bytes = encodeBatch({ ...examplePack(), sequence: 7 });
    expect(readBatch(bytes)).toMatchObject({ sequence: 7, run: examplePack().run });
    const { dictionary: _, ...undocumented } = examplePack();
    expect(() => decodeBatch(encodeBatch({ ...undocumented, sequence: 7 } as Batch))).toThrow(
      'does not state its dictionary',
    );
    expect(() => decodeBatch(encodeBatch({ ...examplePack(), run: 0n }))).toThrow('no run');
    expect(() => decodeBatch(encodeBatch({ ...examplePack(), stream: 0n }))).toThrow('no stream');
    expect(() => decodeBatch(encodeBatch({ ...examplePack(), positions: [] }))).toThrow(
      'no positions',
    );
  });

  test.each([
    ['keyframe', keyframe],
    ['pack', pack],
  ])('(%s) cut off anywhere is an error by name or lacks its last fields', (_, batch) => {
    const bytes = encodeBatch(batch);
    for (let end = 0; end < bytes.length; end++) {
      let read: Batch | undefined;
      try {
        read = decodeBatch(bytes.subarray(0, end));
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
      if (read !== undefined) expect(encodeBatch(read)).not.toEqual(bytes);
    }
  });
});

describe('what is refused', () => {
  const { dictionary: _, ...undocumented } = exampleBatch();
  const wrong: [string, Batch][] = [
    ['no run', { lane: 'heartbeat', run: 0n, sentAtMs: 1 }],
    ['no stream', { ...exampleBatch(), stream: 0n }],
    ['no positions', { ...exampleBatch(), positions: [] }],
    ['a keyframe that does not state its dictionary', undocumented],
    ['positions: 0 to 0', { ...exampleBatch(), positions: [{ run: 1n, first: 0, last: 0 }] }],
  ];
  test.each(wrong)('%s', (message, batch) => {
    expect(() => decodeBatch(encodeBatch(batch))).toThrow(message);
    expect(() => decodeBatch(encodeBatch(batch))).toThrow(DecodeError);
  });

  test('positions beyond what a number holds exactly, or that run backwards', () => {
    const bytes = Buffer.from(encodeBatch(exampleBatch()));
    const at = bytes.indexOf(Buffer.from('5a0410011801', 'hex'));
    for (const more of [2n ** 64n - 1n, 2n ** 63n, 2n ** 53n]) {
      const range = Buffer.from([0x10, 1, 0x18, ...varint(more)]);
      const field = Buffer.concat([Buffer.of(0x5a, range.length), range]);
      const odd = Buffer.concat([bytes.subarray(0, at), field, bytes.subarray(at + 6)]);
      expect(() => decodeBatch(odd)).toThrow(DecodeError);
    }
  });

  test('a lane of the future', () => {
    const bytes = Buffer.concat([
      encodeBatch({ lane: 'heartbeat', run: 1n, sentAtMs: 1 }),
      Buffer.of(0x10, 9),
    ]);
    expect(() => decodeBatch(bytes)).toThrow('unknown lane 9');
  });
});
