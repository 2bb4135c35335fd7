import type { SampleColumns } from '../../proto/sample-columns.ts';

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

interface Samples {
  sid: Int32Array;
  ts: Float64Array;
  keys: readonly number[];
}

interface Grouper {
  window(from: number, to: number): { blocks: Block[]; nw: number[]; newGroups: number };
}

/** Groups and members that a batch opens: both ends must be told before it. */
export interface Opened {
  groups: number;
  /** Series id and group, by turns. */
  members: number[];
}

export interface BaselineSection {
  section: Buffer;
  opened: Opened;
}

const file = (name: string) => new URL(name, import.meta.url).href;

/** The baseline's encoder; the function returned begins a stream. */
export async function loadBaselineEncoder(groupKeys: readonly number[]) {
  const codec = (await import(`${file('codec.mjs')}?enc`)) as Codec;
  const { Grouper } = (await import(file('blocks.mjs'))) as {
    Grouper: new (samples: Samples) => Grouper;
  };
  return () => {
    codec.reset();
    const numbers = new Int32Array(groupKeys.length);
    const samples: Samples = { sid: new Int32Array(0), ts: new Float64Array(0), keys: groupKeys };
    const grouper = new Grouper(samples);
    return (columns: SampleColumns): BaselineSection => {
      samples.sid = new Int32Array(columns.ids.buffer, 0, columns.count);
      samples.ts = columns.timestamps;
      const { blocks, nw, newGroups } = grouper.window(0, columns.count);
      const opened: Opened = { groups: newGroups, members: nw };
      open(codec, opened, numbers);
      const series = samples.sid.map((id) => numbers[id]!);
      const values = new Float64Array(columns.valueBits.buffer);
      return { section: codec.encodeBatch(blocks, series, columns.valueBits, values), opened };
    };
  };
}

/** The baseline's decoder; the function returned begins a stream. */
export async function loadBaselineDecoder(groupKeys: readonly number[]) {
  const codec = (await import(`${file('codec.mjs')}?dec`)) as Codec;
  return () => {
    codec.reset();
    const ids: number[] = [];
    const numbers = new Int32Array(groupKeys.length);
    return ({ section, opened }: BaselineSection, into: SampleColumns): void => {
      open(codec, opened, numbers);
      for (let at = 0; at < opened.members.length; at += 2) {
        ids[numbers[opened.members[at]!]!] = opened.members[at]!;
      }
      codec.decodeBatch(section, (series, timestamp, high, low) =>
        into.push(ids[series]!, timestamp, low, high),
      );
    };
  };
}

function open(codec: Codec, { groups, members }: Opened, numbers: Int32Array): void {
  for (let group = 0; group < groups; group++) codec.addGroup();
  for (let at = 0; at < members.length; at += 2) {
    numbers[members[at]!] = codec.addSeries(members[at + 1]!);
  }
}
