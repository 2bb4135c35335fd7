import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { nodeMix15s, readCapture } from './capture.ts';
import { capturedBatches } from './captured-batches.ts';
import { CapturedSamples } from './captured-samples.ts';
import type { CodecRun, CodecWork } from './codec-worker.ts';
import { numberFlag, readFlags } from './flags.ts';
import { formatTable } from './table.ts';

const FLAGS = [
  { name: 'horizon', value: 'MS', meaning: 'arrival time that a batch gathers; 5000' },
  { name: 'rounds', value: 'N', meaning: 'alternating runs of each, after four to warm up; 15' },
];
const WARM_UP_ROUNDS = 4;

/** Samples per second and core, and bytes per sample, of the codec and of its first form. */
export async function run(args: readonly string[]): Promise<void> {
  const flags = readFlags('npm run bench -- codec', args, FLAGS);
  if (flags === undefined) return;
  const horizonMs = numberFlag(flags, 'horizon', 5000);
  const rounds = numberFlag(flags, 'rounds', 15);
  const samples = new CapturedSamples(readCapture(nodeMix15s));
  const counts = capturedBatches(samples, horizonMs).map(({ count }) => count);
  const encode = await measure('encode', horizonMs, rounds);
  const decode = await measure('decode', horizonMs, rounds);
  const rows = [
    row('encode, M samples/s', encode, (runs) => sum(counts) / medianMs(runs) / 1000),
    row('decode, M samples/s', decode, (runs) => sum(counts) / medianMs(runs) / 1000),
    row('B/sample', encode, (runs) => sum(runs[0]!.sectionBytes) / sum(counts)),
    row('B/sample, second half', encode, (runs) => {
      const half = counts.length >> 1;
      return sum(runs[0]!.sectionBytes.slice(half)) / sum(counts.slice(half));
    }),
  ];
  const unchanged = (samples.unchangedShare() * 100).toFixed(1);
  console.log(`codec: node-mix-15s, ${counts.length} batches, ${unchanged} % unchanged samples,`);
  console.log(`  median of ${rounds} alternating runs, each end in a thread of its own`);
  console.log(formatTable([['', 'first form', 'this codec', 'ratio'], ...rows]));
}

interface Measured {
  baseline: CodecRun[];
  ours: CodecRun[];
}

async function measure(
  end: CodecWork['end'],
  horizonMs: number,
  rounds: number,
): Promise<Measured> {
  const baseline = startWorker({ codec: 'baseline', end, horizonMs });
  const ours = startWorker({ codec: 'ours', end, horizonMs });
  const measured: Measured = { baseline: [], ours: [] };
  for (let round = 0; round < WARM_UP_ROUNDS + rounds; round++) {
    const runs = { baseline: await runOnce(baseline), ours: await runOnce(ours) };
    if (round < WARM_UP_ROUNDS) continue;
    measured.baseline.push(runs.baseline);
    measured.ours.push(runs.ours);
  }
  await Promise.all([baseline.terminate(), ours.terminate()]);
  return measured;
}

function startWorker(workerData: CodecWork): Worker {
  return new Worker(new URL('./codec-worker.ts', import.meta.url), { workerData });
}

async function runOnce(worker: Worker): Promise<CodecRun> {
  worker.postMessage('run');
  const [run] = await once(worker, 'message');
  return run as CodecRun;
}

function row(name: string, measured: Measured, figure: (runs: CodecRun[]) => number): string[] {
  const baseline = figure(measured.baseline);
  const ours = figure(measured.ours);
  return [name, baseline.toFixed(3), ours.toFixed(3), (ours / baseline).toFixed(2)];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function medianMs(runs: readonly CodecRun[]): number {
  return runs.map(({ ms }) => ms).toSorted((a, b) => a - b)[runs.length >> 1]!;
}
