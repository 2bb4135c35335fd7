import { expect, test } from 'vitest';
import {
  borderBudget,
  framingBytes,
  secondHalfSectionBytes,
  totalBytes,
} from '../../bench/border-budget.ts';
import { type Batch, encodeBatch } from '../../proto/batch.ts';
import { encodeEntries } from '../../proto/dictionary/part-encoder.ts';
import { encodeMetadataEntry, encodeSeriesEntry } from '../../proto/dictionary-entry.ts';
import { compressFrame } from '../../proto/zstd.ts';
import { seededRandom, seedOfRun } from '../tools/seeded-random.ts';

const random = seededRandom(seedOfRun());
const noise = (bytes: number) => Uint8Array.from({ length: bytes }, () => random.float() * 256);
const common = { run: 7n, sentAtMs: 1_700_000_000_000 };

function liveBatch(sequence: number, samples: number, sectionBytes: number): Batch {
  return {
    lane: 'live',
    ...common,
    sentAtMs: common.sentAtMs + sequence,
    stream: 9n,
    sequence,
    ...(sequence === 0
      ? {
          keyframe: { tenant: '', samplesFormat: 3, epoch: 3n, epochsInUse: [3n] },
          dictionary: { offset: 2, hash: 1n, entries: encodeEntries([]) },
        }
      : {}),
    positions: [{ run: 7n, first: sequence + 1, last: sequence + 1 }],
    samplesCount: samples,
    samples: noise(sectionBytes),
    mayBeRedelivered: false,
  };
}

function dictionaryBatch(entries: Uint8Array[]): Batch {
  const dictionary = { offset: 0, hash: 1n, entries: encodeEntries(entries) };
  return { lane: 'dictionary', ...common, epoch: 3n, epochsInUse: [3n], dictionary };
}

function recorded(batches: readonly Batch[]) {
  const up = batches.flatMap((batch) => {
    const frame = compressFrame(encodeBatch(batch), 3);
    const head = `POST /v1/batch HTTP/1.1\r\ncontent-length: ${frame.length}\r\n\r\n`;
    return [Buffer.from(head), frame];
  });
  const down = batches.map(() => Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'));
  return { up: Buffer.concat(up), down: Buffer.concat(down) };
}

test('every byte of the link is in one line of the budget', () => {
  const help = Buffer.concat([Buffer.from([0x22, 0xc8, 0x01]), noise(200)]);
  const metadata = encodeMetadataEntry('', help);
  const batches: Batch[] = [
    dictionaryBatch([encodeSeriesEntry('', noise(500)), metadata]),
    liveBatch(0, 100, 1000),
    { lane: 'heartbeat', ...common },
  ];
  const connection = recorded(batches);
  const { bytes, exchanges, seriesEntries, metadataEntries } = borderBudget([connection]);
  expect(totalBytes(bytes)).toBe(connection.up.length + connection.down.length);
  expect({ exchanges, seriesEntries, metadataEntries }).toEqual({
    exchanges: 3,
    seriesEntries: 1,
    metadataEntries: 1,
  });
  // Noise cannot be compressed: each part costs itself and a few bytes around it.
  expect(bytes.samples).toBeGreaterThanOrEqual(1000);
  expect(bytes.samples).toBeLessThan(1020);
  expect(bytes.seriesEntries).toBeGreaterThanOrEqual(500);
  expect(bytes.seriesEntries).toBeLessThan(540);
  expect(bytes.metadataEntries).toBeGreaterThanOrEqual(200);
  expect(bytes.metadataEntries).toBeLessThan(240);
  expect(bytes.answers).toBe(6);
  expect(framingBytes(bytes)).toBe(
    totalBytes(bytes) - bytes.samples - bytes.seriesEntries - bytes.metadataEntries,
  );
});

test('the second half is counted in the order in which the agent made the batches', () => {
  const [first, second] = [recorded([liveBatch(1, 100, 30)]), recorded([liveBatch(0, 100, 90)])];
  expect(secondHalfSectionBytes(borderBudget([first, second]))).toBe(0.3);
});
