import type { SampleColumns } from '../../proto/sample-columns.ts';
import type { CodecRun } from '../codec.ts';

interface Block {
  g: number;
  ts: number;
  idx: number[];
}

interface Codec {
  reset(): void;
  addGroup(): number;
  addSeries(group: number): number;
  encodeBatch(blocks: Block[], sid: Int32Array, bits: Uint32Array, values: Float64Array): Buffer;
  decodeBatch(
    section: Buffer,
    emit: (series: number, timestamp: number, high: number, low: number) => void,
  ): void;
}

interface Grouper {
  window(from: number, to: number): { blocks: Block[]; nw: number[]; newGroups: number };
}

interface Samples {
  sid: Int32Array;
  ts: Float64Array;
  keys: readonly number[];
}

const file = (name: string) => new URL(name, import.meta.url).href;

/** Loads the baseline and returns a function that passes the batches through a fresh stream. */
export async function createBaseline(
  batches: readonly SampleColumns[],
  groupKeys: readonly number[],
): Promise<() => CodecRun> {
  const encoder = (await import(`${file('codec.mjs')}?enc`)) as Codec;
  const decoder = (await import(`${file('codec.mjs')}?dec`)) as Codec;
  const { Grouper } = (await import(file('blocks.mjs'))) as {
    Grouper: new (samples: Samples) => Grouper;
  };
  return () => {
    encoder.reset();
    decoder.reset();
    const known = new Int32Array(groupKeys.length);
    const result: CodecRun = { encodeMs: 0, decodeMs: 0, sectionBytes: [] };
    const samples: Samples = { sid: new Int32Array(0), ts: new Float64Array(0), keys: groupKeys };
    const grouper = new Grouper(samples);
    for (const columns of batches) {
      samples.sid = Int32Array.from(columns.ids.subarray(0, columns.count));
      samples.ts = columns.timestamps;
      const bits = columns.valueBits;
      const values = new Float64Array(bits.buffer);
      const startedMs = performance.now();
      const { blocks, nw, newGroups } = grouper.window(0, columns.count);
      // Both ends are told of new groups and series; the decoder's share of it is not counted.
      for (let group = 0; group < newGroups; group++) encoder.addGroup();
      for (let at = 0; at < nw.length; at += 2) known[nw[at]!] = encoder.addSeries(nw[at + 1]!);
      const series = samples.sid.map((id) => known[id]!);
      const section = encoder.encodeBatch(blocks, series, bits, values);
      const encodedMs = performance.now();
      for (let group = 0; group < newGroups; group++) decoder.addGroup();
      for (let at = 0; at < nw.length; at += 2) decoder.addSeries(nw[at + 1]!);
      const decodedFromMs = performance.now();
      decodeInto(decoder, section, columns.count);
      result.decodeMs += performance.now() - decodedFromMs;
      result.encodeMs += encodedMs - startedMs;
      result.sectionBytes.push(section.length);
    }
    return result;
  };
}

/** As the product's decoder does, it leaves columns behind. */
function decodeInto(decoder: Codec, section: Buffer, count: number): void {
  const series = new Uint32Array(count);
  const timestamps = new Float64Array(count);
  const bits = new Uint32Array(count * 2);
  let row = 0;
  decoder.decodeBatch(section, (number, timestamp, high, low) => {
    series[row] = number;
    timestamps[row] = timestamp;
    bits[row * 2] = low;
    bits[row * 2 + 1] = high;
    row++;
  });
}
