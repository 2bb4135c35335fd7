import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../proto/bytes.ts';
import { SamplesDecoder } from '../../../proto/codec/samples-decoder.ts';
import { SamplesEncoder } from '../../../proto/codec/samples-encoder.ts';
import { SampleColumns } from '../../../proto/sample-columns.ts';
import { compressFrame, decompressFrame, FrameError } from '../../../proto/zstd.ts';
import {
  columnsOf,
  difference,
  IDS_MAX,
  pushDouble,
  randomSeed,
  scratchBits,
  seededFloats,
} from './codec-fixture.ts';
import { MOVES } from './value-kinds.ts';

const T0 = 1_790_000_000_000;

interface Sent {
  columns: SampleColumns;
  section: Uint8Array;
}

/** A stream in which series of every kind come, change and go. */
function sendBatches(batches: number): Sent[] {
  const random = seededFloats(11);
  const encoder = new SamplesEncoder((id) => id % 3);
  const moves = Object.values(MOVES);
  const values = new Uint32Array(200);
  return Array.from({ length: batches }, (_, batch) => {
    const columns = new SampleColumns();
    for (let id = batch * 4; id < 40 + batch * 4; id++) {
      if (random() < 0.1) continue;
      const at = (id % 100) * 2;
      scratchBits.set(values.subarray(at, at + 2));
      if (random() < 0.5) moves[id % moves.length]!(random);
      values.set(scratchBits, at);
      columns.push(id, T0 + batch * 15_000 + (id % 2), scratchBits[0]!, scratchBits[1]!);
    }
    return { columns, section: encoder.encode(columns) };
  });
}

function decoderBehind(sent: readonly Sent[]): SamplesDecoder {
  const decoder = new SamplesDecoder({ idsMax: IDS_MAX });
  for (const { columns, section } of sent) {
    decoder.decode(section, columns.count, new SampleColumns());
  }
  return decoder;
}

/** True when the bytes were accepted; anything but a DecodeError fails the test. */
function accepts(decoder: SamplesDecoder, section: Uint8Array, count: number): boolean {
  const into = columnsOf([1, 2, 3]);
  try {
    decoder.decode(section, count, into);
    expect(into.count).toBe(1 + count);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError);
    expect(into.count).toBe(1);
    return false;
  }
}

describe('a damaged section', () => {
  const sent = sendBatches(8);
  const before = sent.slice(0, 4);
  const { section, columns } = sent[4]!;

  function expectTheRest(decoder: SamplesDecoder): void {
    for (const each of sent.slice(4)) {
      const into = new SampleColumns();
      decoder.decode(each.section, each.columns.count, into);
      expect(difference(each.columns, into)).toBeUndefined();
    }
  }

  it('that is cut off at any byte is refused and leaves no trace', () => {
    const decoder = decoderBehind(before);
    let refused = 0;
    for (let length = 0; length < section.length; length++) {
      if (accepts(decoder, section.subarray(0, length), columns.count))
        throw new Error(`${length}`);
      refused++;
    }
    expect(refused).toBe(section.length);
    expectTheRest(decoder);
  });

  it('that has a flipped bit leaves no trace when it is refused', () => {
    let decoder = decoderBehind(before);
    let refused = 0;
    for (let bit = 0; bit < section.length * 8; bit++) {
      const damaged = section.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      if (accepts(decoder, damaged, columns.count)) decoder = decoderBehind(before);
      else refused++;
    }
    expect(refused).toBeGreaterThan(section.length);
    expectTheRest(decoder);
  });

  it('is refused with a count that is not its own', () => {
    const decoder = decoderBehind(before);
    expect(accepts(decoder, section, columns.count - 1)).toBe(false);
    expect(accepts(decoder, section, columns.count + 1)).toBe(false);
    expect(accepts(decoder, section, 0)).toBe(false);
    expectTheRest(decoder);
  });

  it('in its zstd frame never gives wrong samples, wherever a bit is flipped', () => {
    const frame = compressFrame(section, 3);
    for (let bit = 0; bit < frame.length * 8; bit++) {
      const damaged = Buffer.from(frame);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      let content: Buffer;
      try {
        content = decompressFrame(damaged, 1 << 20);
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError);
        continue;
      }
      expect(content.equals(section)).toBe(true);
    }
  });
});

it('every batch of a stream may be refused before it is accepted', () => {
  const random = seededFloats(5);
  const encoder = new SamplesEncoder((id) => id >> 8);
  const decoder = new SamplesDecoder({ idsMax: IDS_MAX });
  const moved = new Float64Array(4);
  for (let batch = 0; batch < 30; batch++) {
    const columns = new SampleColumns();
    // Groups follow each other as they like; one series of each moves by the same every time.
    for (let turn = 0; turn < 6; turn++) {
      const first = Math.floor(random() * 4) << 8;
      const timestamp = T0 + batch * 60_000 + turn * 10_000;
      moved[first >> 8]! += 1000;
      pushDouble(columns, first, timestamp, moved[first >> 8]!);
      for (let id = 1; id < 8; id++) {
        pushDouble(columns, first + id, timestamp, Math.floor(random() * 1e6));
      }
    }
    const section = encoder.encode(columns);
    expect(accepts(decoder, section.subarray(0, -1), columns.count)).toBe(false);
    for (const bit of [0x80, 0x40, 0x20, 0x10]) {
      // Most likely another group to begin with.
      const damaged = section.slice();
      damaged[0]! ^= bit;
      expect(accepts(decoder, damaged, columns.count)).toBe(false);
    }
    const into = new SampleColumns();
    decoder.decode(section, columns.count, into);
    expect(difference(columns, into)).toBeUndefined();
  }
});

describe('random bytes', () => {
  it('end in a DecodeError or in as many samples as asked for, within the time of these', () => {
    const seed = randomSeed();
    console.log(`seed ${seed}`);
    const random = seededFloats(seed);
    const sent = sendBatches(3);
    let decoder = decoderBehind(sent);
    for (let round = 0; round < 3000; round++) {
      const bytes = Uint8Array.from({ length: random() * 200 }, () => random() * 256);
      if (random() < 0.3) bytes.fill(random() < 0.5 ? 0 : 255, random() * bytes.length);
      if (accepts(decoder, bytes, Math.floor(random() * 500))) decoder = decoderBehind(sent);
    }
  });

  it('of the likeliest bits only end as soon as the samples are there', () => {
    for (const byte of [0x00, 0xff]) {
      const decoder = new SamplesDecoder({ idsMax: IDS_MAX });
      const startedMs = performance.now();
      accepts(decoder, new Uint8Array(1 << 20).fill(byte), 100_000);
      expect(performance.now() - startedMs).toBeLessThan(5000);
    }
  });
});

it('a series id that is not below idsMax is refused', () => {
  const section = new SamplesEncoder(() => 0).encode(columnsOf([9, T0, 1], [10, T0, 1]));
  const decoder = new SamplesDecoder({ idsMax: 10 });
  expect(() => decoder.decode(section, 2, new SampleColumns())).toThrow(/series id 10 is unknown/);
});
