import { describe, expect, test } from 'vitest';
import { encodeBatch } from '../../../proto/batch.ts';
import { DecodeError } from '../../../proto/bytes.ts';
import { SamplesDecoder } from '../../../proto/codec/samples-decoder.ts';
import { SamplesEncoder } from '../../../proto/codec/samples-encoder.ts';
import { SampleColumns } from '../../../proto/sample-columns.ts';
import { compressFrame, decompressFrame, FrameError } from '../../../proto/zstd.ts';
import { seededRandom, seedOfRun } from '../../tools/seeded-random.ts';
import { KINDS, whole } from './kinds.ts';
import { columnsOf, firstDifference, targetOf } from './streams.ts';

const SERIES = 40;
const IDS_MAX = 1000;
const CONTENT_BYTES_MAX = 2 ** 20;

/** Three scrapes of every kind of series, and their sections. */
function shortStream(): { batches: SampleColumns[]; sections: Uint8Array[] } {
  const random = seededRandom(seedOfRun());
  const kinds = Object.values(KINDS);
  const sources = Array.from({ length: SERIES }, (_, id) => kinds[id % kinds.length]!(random));
  const encoder = new SamplesEncoder(targetOf);
  const batches = [1, 2, 3].map((scrape) =>
    columnsOf(sources.map((next, id) => [id, 1_800_000_000_000 + scrape * 15_000, next()])),
  );
  return { batches, sections: batches.map((columns) => encoder.encode(columns)) };
}

/** A decoder that has seen the sections before the last one. */
function decoderBeforeLast(batches: SampleColumns[], sections: Uint8Array[]): SamplesDecoder {
  const decoder = new SamplesDecoder({ idsMax: IDS_MAX });
  for (let at = 0; at < sections.length - 1; at++) {
    decoder.decode(sections[at]!, batches[at]!.count, new SampleColumns());
  }
  return decoder;
}

/** Decodes what may be damaged; false when it was refused by name. */
function decodes(decoder: SamplesDecoder, section: Uint8Array, count: number): boolean {
  const into = columnsOf([[7, 7, 7]]);
  try {
    decoder.decode(section, count, into);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError);
    expect(firstDifference(columnsOf([[7, 7, 7]]), into)).toBeUndefined();
    return false;
  }
}

describe('a section that is not what was written', () => {
  const { batches, sections } = shortStream();
  const columns = batches.at(-1)!;
  const section = sections.at(-1)!;

  /** The refused section left no trace: the right one decodes, bit for bit. */
  function expectUntouched(decoder: SamplesDecoder): void {
    const found = new SampleColumns();
    decoder.decode(section, columns.count, found);
    expect(firstDifference(columns, found)).toBeUndefined();
  }

  test('cut off anywhere ends, and leaves no trace when it is refused', () => {
    let refused = 0;
    for (let length = 0; length < section.length; length++) {
      const decoder = decoderBeforeLast(batches, sections);
      if (decodes(decoder, section.subarray(0, length), columns.count)) continue;
      refused++;
      expectUntouched(decoder);
    }
    // A range code may do without its last bits by chance; the frame's checksum notices.
    expect(refused).toBeGreaterThan(section.length * 0.9);
  });

  test('with bytes behind it is refused by name, and leaves no trace', () => {
    const decoder = decoderBeforeLast(batches, sections);
    const longer = Buffer.concat([section, Buffer.alloc(5, 0xa5)]);
    expect(decodes(decoder, longer, columns.count)).toBe(false);
    expectUntouched(decoder);
  });

  test('with another number of samples is refused by name, and leaves no trace', () => {
    const decoder = decoderBeforeLast(batches, sections);
    for (const count of [0, 1, columns.count - 1, columns.count + 1, 10_000]) {
      expect(decodes(decoder, section, count)).toBe(false);
    }
    expectUntouched(decoder);
  });

  test('with any bit flipped ends, and leaves no trace when it is refused', () => {
    let refused = 0;
    for (let bit = 0; bit < section.length * 8; bit++) {
      const damaged = Uint8Array.from(section);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      const decoder = decoderBeforeLast(batches, sections);
      if (decodes(decoder, damaged, columns.count)) continue;
      refused++;
      expectUntouched(decoder);
    }
    expect(refused).toBeGreaterThan(0);
  });

  test('of random bytes ends, and holds no more than it may', () => {
    const random = seededRandom(seedOfRun());
    for (let round = 0; round < 2000; round++) {
      const bytes = Uint8Array.from({ length: whole(random, 200) }, () => whole(random, 256));
      decodes(decoderBeforeLast(batches, sections), bytes, whole(random, 500));
    }
  });
});

describe('a batch in its frame', () => {
  const { batches, sections } = shortStream();
  const frames = sections.map((samples, at) =>
    compressFrame(
      encodeBatch({
        lane: 'live',
        run: 1n,
        sentAtMs: 1,
        stream: 2n,
        sequence: at + 1,
        positions: [{ run: 1n, first: at + 1, last: at + 1 }],
        samplesCount: batches[at]!.count,
        samples,
        mayBeRedelivered: false,
      }),
      3,
    ),
  );

  /** Whether damaged bytes are refused, or hold the very same content. */
  function isSafe(frame: Uint8Array, damaged: Uint8Array): boolean {
    try {
      return decompressFrame(damaged, CONTENT_BYTES_MAX).equals(
        decompressFrame(frame, CONTENT_BYTES_MAX),
      );
    } catch (error) {
      expect(error).toBeInstanceOf(FrameError);
      return true;
    }
  }

  test('never yields other samples when it is cut off anywhere', () => {
    for (const frame of frames) {
      for (let length = 0; length < frame.length; length++) {
        expect(isSafe(frame, frame.subarray(0, length))).toBe(true);
      }
    }
  });

  test('never yields other samples when any bit is flipped', () => {
    for (const frame of frames) {
      for (let bit = 0; bit < frame.length * 8; bit++) {
        const damaged = Uint8Array.from(frame);
        damaged[bit >> 3]! ^= 1 << (bit & 7);
        expect(isSafe(frame, damaged)).toBe(true);
      }
    }
  });
});
