import { readFileSync } from 'node:fs';
import { type Batch, decodeBatch, type LiveBatch } from '../../proto/batch.ts';
import { SamplesEncoder } from '../../proto/codec/samples-encoder.ts';
import { encodeEntries } from '../../proto/dictionary/part-encoder.ts';
import { encodeSeriesEntry } from '../../proto/dictionary-entry.ts';
import { CHAIN_START } from '../../proto/hash-chain.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
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
      samplesFormat: 2,
      epoch: 0xa0a1a2a3a4a5a6a7n,
      epochsInUse: [0xa0a1a2a3a4a5a6a7n],
    },
    dictionary: { offset: 0, hash: CHAIN_START, entries: encodeEntries([entry]) },
    positions: [{ run: 0x1122334455667788n, first: 1, last: 2 }],
    samplesCount: 2,
    samples: new SamplesEncoder(() => 0).encode(columns),
    mayBeRedelivered: false,
  };
}

/** The bytes of the document's example: the first column of its table, in hexadecimal. */
export function documentedFrame(): Buffer {
  const text = readFileSync(new URL('../../docs/wire-format.md', import.meta.url), 'utf8');
  const [, example = ''] = text.split('## Example');
  const cells = [...example.matchAll(/^\| `([0-9a-f ]+)` \|/gm)].map(([, hex = '']) => hex);
  return Buffer.from(cells.join('').replaceAll(' ', ''), 'hex');
}

/** A batch as it is read, its bytes as plain arrays so that they compare with others. */
export function readBatch(bytes: Uint8Array): Batch {
  const batch = decodeBatch(bytes);
  if (batch.lane === 'live') batch.samples = new Uint8Array(batch.samples);
  if (batch.lane !== 'heartbeat' && batch.dictionary !== undefined) {
    batch.dictionary.entries = new Uint8Array(batch.dictionary.entries);
  }
  return batch;
}
