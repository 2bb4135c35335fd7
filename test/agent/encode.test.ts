import { expect, test } from 'vitest';
import { StreamEncoder } from '../../agent/encode/stream-encoder.ts';
import { decodeBatch, type LiveBatch } from '../../proto/batch.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { sampleFormats } from '../../proto/sample-format.ts';
import { encodeSegment } from '../../proto/segment.ts';
import { decompressFrame } from '../../proto/zstd.ts';
import { exampleBatch } from '../proto/wire-format-example.ts';
import { samplesOf, T0 } from './buffer-fixture.ts';

const RUN = 0xabcn;
const keyframe = { tenant: 'a', samplesFormat: 3, epoch: 5n, epochsInUse: [5n] };
const { dictionary } = exampleBatch();
const common = { sentAtMs: 1, mayBeRedelivered: false };

function segment(run: bigint, sequence: number, id: number, ...timestamps: number[]) {
  const columns = samplesOf(id, ...timestamps);
  return { run: run.toString(16), sequence, samples: columns.count, body: encodeSegment(columns) };
}

function open({ frame }: { frame: Uint8Array }): LiveBatch {
  const batch = decodeBatch(decompressFrame(frame, 2 ** 20));
  if (batch.lane !== 'live') throw new Error(batch.lane);
  return batch;
}

test('a stream begins with its keyframe, and counts from there', () => {
  const encoder = new StreamEncoder(9n, RUN, keyframe, () => 0);
  expect(encoder.isFresh).toBe(true);
  const first = open(encoder.encode([segment(RUN, 1, 0, T0)], dictionary, common));
  expect(first).toMatchObject({ stream: 9n, sequence: 0, run: RUN, keyframe });
  expect(encoder.isFresh).toBe(false);
  const second = open(encoder.encode([segment(RUN, 2, 0, T0)], undefined, common));
  expect(second).toMatchObject({ stream: 9n, sequence: 1 });
  expect(second.keyframe).toBeUndefined();
  expect(second.dictionary).toBeUndefined();
});

test('segments follow each other in a batch; what touches is one range of positions', () => {
  const encoder = new StreamEncoder(9n, RUN, keyframe, () => 0);
  const old = 0x77n;
  const segments = [
    segment(old, 8, 1, T0),
    segment(old, 9, 2, T0 + 1, T0 + 2),
    segment(old, 12, 3, T0 + 3),
    segment(RUN, 1, 4, T0 + 4),
  ];
  const encoded = encoder.encode(segments, dictionary, common);
  expect(encoded.samples).toBe(5);
  const batch = open(encoded);
  expect(batch.positions).toEqual(encoded.positions);
  expect(batch.positions).toEqual([
    { run: old, first: 8, last: 9 },
    { run: old, first: 12, last: 12 },
    { run: RUN, first: 1, last: 1 },
  ]);
  const columns = new SampleColumns();
  sampleFormats.get(3)!.createDecoder(1000).decode(batch.samples, batch.samplesCount, columns);
  expect([...columns.ids.subarray(0, 5)]).toEqual([1, 2, 2, 3, 4]);
  expect([...columns.timestamps.subarray(0, 5)]).toEqual([0, 1, 2, 3, 4].map((ms) => T0 + ms));
});
