import { SamplesDecoder } from '../proto/codec/samples-decoder.ts';
import { SamplesEncoder } from '../proto/codec/samples-encoder.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import { createBaseline } from './baseline/run.ts';
import { nodeMix15s, readCapture } from './capture.ts';
import { capturedBatches, capturedGroupKeys } from './captured-batches.ts';
import { CapturedSamples } from './captured-samples.ts';
import { numberFlag, readFlags } from './flags.ts';
import { formatTable } from './table.ts';

const FLAGS = [
  { name: 'horizon', value: 'MS', meaning: 'arrival time that a batch gathers; 5000' },
  { name: 'rounds', value: 'N', meaning: 'alternating runs of each, after two to warm up; 9' },
];
const WARM_UP_ROUNDS = 2;

/** One pass over all batches of the capture. */
export interface CodecRun {
  encodeMs: number;
  decodeMs: number;
  sectionBytes: number[];
}

/** Samples per second and core, and bytes per sample, of the codec and of its first form. */
export async function run(args: readonly string[]): Promise<void> {
  const flags = readFlags('npm run bench -- codec', args, FLAGS);
  if (flags === undefined) return;
  const samples = new CapturedSamples(readCapture(nodeMix15s));
  const groupKeys = capturedGroupKeys(samples);
  const batches = capturedBatches(samples, numberFlag(flags, 'horizon', 5000));
  const runBaseline = await createBaseline(batches, groupKeys);
  const runs: { ours: CodecRun; baseline: CodecRun }[] = [];
  const rounds = numberFlag(flags, 'rounds', 9) + WARM_UP_ROUNDS;
  for (let round = 0; round < rounds; round++) {
    const baseline = runBaseline();
    runs.push({ ours: runOurs(batches, groupKeys), baseline });
  }
  const warm = runs.slice(WARM_UP_ROUNDS);
  const ours = figures(
    warm.map((each) => each.ours),
    batches,
  );
  const baseline = figures(
    warm.map((each) => each.baseline),
    batches,
  );
  console.log(`codec: node-mix-15s, ${batches.length} batches, median of ${warm.length} runs`);
  const rows = ours.map(({ name, value }, at) => [
    name,
    baseline[at]!.value.toFixed(3),
    value.toFixed(3),
    (value / baseline[at]!.value).toFixed(2),
  ]);
  console.log(formatTable([['', 'first form', 'this codec', 'ratio'], ...rows]));
}

function runOurs(batches: readonly SampleColumns[], groupKeys: readonly number[]): CodecRun {
  const encoder = new SamplesEncoder((id) => groupKeys[id]!);
  const decoder = new SamplesDecoder({ idsMax: groupKeys.length });
  const decoded = new SampleColumns();
  const result: CodecRun = { encodeMs: 0, decodeMs: 0, sectionBytes: [] };
  for (const columns of batches) {
    decoded.clear();
    const startedMs = performance.now();
    const section = encoder.encode(columns);
    const encodedMs = performance.now();
    decoder.decode(section, columns.count, decoded);
    result.decodeMs += performance.now() - encodedMs;
    result.encodeMs += encodedMs - startedMs;
    result.sectionBytes.push(section.length);
  }
  return result;
}

function figures(runs: readonly CodecRun[], batches: readonly SampleColumns[]) {
  const half = batches.length >> 1;
  const { sectionBytes } = runs[0]!;
  const count = sum(batches.map((columns) => columns.count));
  const millions = (ms: number) => count / ms / 1000;
  const secondHalf = sum(batches.slice(half).map((columns) => columns.count));
  return [
    { name: 'encode, M samples/s', value: millions(median(runs.map((each) => each.encodeMs))) },
    { name: 'decode, M samples/s', value: millions(median(runs.map((each) => each.decodeMs))) },
    { name: 'B/sample, all', value: sum(sectionBytes) / count },
    { name: 'B/sample, second half', value: sum(sectionBytes.slice(half)) / secondHalf },
  ];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}
