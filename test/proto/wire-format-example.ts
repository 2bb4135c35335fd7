import { readFileSync } from 'node:fs';
import { type Batch, decodeBatch, type LiveBatch, type PackBatch } from '../../proto/batch.ts';
import { encodeEntries } from '../../proto/dictionary/part-encoder.ts';
import { encodeSeriesEntry } from '../../proto/dictionary-entry.ts';
import { CHAIN_START, extendChain } from '../../proto/hash-chain.ts';
import { PackEncoder } from '../../proto/pack.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { sampleFormats } from '../../proto/sample-format.ts';
import { labelBytes } from '../hub/series-fixture.ts';

/** The batch that docs/wire-format.md shows: a keyframe with one entry and two samples. */
export function exampleBatch(): LiveBatch {
  const entry = encodeSeriesEntry('', labelBytes({ __name__: 'up', job: 'node' }));
  const columns = new SampleColumns();
  columns.push(0, 1_800_000_000_000, 0, 0x3ff00000);
  columns.push(0, 1_800_000_015_000, 2, 0x7ff00000);
  return {
    lane: 'live',
    run: 0x1122334455667788n,
    sentAtMs: 1_800_000_016_000,
    stream: 0x0102030405060708n,
    sequence: 0,
    keyframe: {
      tenant: '',
      samplesFormat: 3,
      epoch: 0xa0a1a2a3a4a5a6a7n,
      epochsInUse: [0xa0a1a2a3a4a5a6a7n],
    },
    dictionary: { offset: 0, hash: CHAIN_START, entries: encodeEntries([entry]) },
    positions: [{ run: 0x1122334455667788n, first: 1, last: 2 }],
    samplesCount: 2,
    samples: sampleFormats
      .get(3)!
      .createEncoder(() => 0)
      .encode(columns),
    mayBeRedelivered: false,
  };
}

/** The pack that docs/wire-format.md shows: two sections of the same series, nothing new. */
export function examplePack(): PackBatch {
  const { run, keyframe, dictionary } = exampleBatch();
  const sections = [1_800_000_030_000, 1_800_000_045_000].map((timestamp) => {
    const columns = new SampleColumns();
    columns.push(0, timestamp, 0, 0x40000000);
    return columns;
  });
  const encoder = new PackEncoder(sampleFormats.get(3)!, () => 0);
  for (const columns of sections) encoder.add(columns);
  const entry = encodeSeriesEntry('', labelBytes({ __name__: 'up', job: 'node' }));
  return {
    lane: 'pack',
    run,
    sentAtMs: 1_800_000_100_000,
    stream: 0x1112131415161718n,
    sequence: 0,
    keyframe: keyframe!,
    dictionary: {
      ...dictionary!,
      offset: 1,
      hash: extendChain(CHAIN_START, entry),
      entries: encodeEntries([]),
    },
    positions: [{ run, first: 3, last: 4 }],
    samplesCount: 2,
    samples: encoder.finish(),
    mayBeRedelivered: false,
    unordered: false,
  };
}

/** The rows of an example's table in the document: bytes, and the offset beside them. */
export function documentedRows(heading: string): { bytes: Buffer; offset: number }[] {
  const text = readFileSync(new URL('../../docs/wire-format.md', import.meta.url), 'utf8');
  const [, behind = ''] = text.split(`\n${heading}\n`);
  const [example = ''] = behind.split('\n## ');
  return Array.from(
    example.matchAll(/^\| `([0-9a-f ]+)` \| (\d+) \|/gm),
    ([, hex = '', offset]) => ({
      bytes: Buffer.from(hex.replaceAll(' ', ''), 'hex'),
      offset: Number(offset),
    }),
  );
}

/** The bytes of an example in the document. */
export function documentedFrame(heading: string): Buffer {
  return Buffer.concat(documentedRows(heading).map(({ bytes }) => bytes));
}

/** A batch as it is read, its bytes as plain arrays so that they compare with others. */
export function readBatch(bytes: Uint8Array): Batch {
  const batch = decodeBatch(bytes);
  if (batch.lane === 'live' || batch.lane === 'pack') batch.samples = new Uint8Array(batch.samples);
  if (batch.lane !== 'heartbeat' && batch.dictionary !== undefined) {
    batch.dictionary.entries = new Uint8Array(batch.dictionary.entries);
  }
  return batch;
}
