import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { numberFlag, readFlags, textFlag } from '../../bench/flags.ts';
import { type RunResult, simulate } from './simulation.ts';

const SEEDS = 200;
const FLAGS = [
  { name: 'seeds', value: 'N', meaning: `how many seeds to run; ${SEEDS} when not given` },
  { name: 'seed', value: 'S', meaning: 'run this seed alone and print all that happens' },
];

/** What a worker says of each of its seeds. */
type Told = Omit<RunResult, 'trace'>;

/** Runs seeds on all processors; resolves with how many of them broke a promise. */
async function runSeeds(count: number): Promise<number> {
  const base = randomBytes(4).toString('hex');
  const seeds = Array.from({ length: count }, (_, index) => `${base}-${index}`);
  const workers = Math.min(availableParallelism(), count);
  const results: Told[] = [];
  await Promise.all(
    Array.from({ length: workers }, (_, worker) => {
      const share = seeds.filter((_seed, index) => index % workers === worker);
      return runShare(share, (result) => {
        results.push(result);
        if (result.violations.length > 0) printViolations(result);
      });
    }),
  );
  const failed = results.filter(({ violations }) => violations.length > 0).length;
  const hours = sum(results, ({ virtualMs }) => virtualMs) / 3_600_000;
  console.log(
    `${results.length} seeds, ${failed} with violations; ${hours.toFixed(0)} hours of virtual ` +
      `time, ${sum(results, ({ acknowledged }) => acknowledged)} samples acknowledged, ` +
      `${sum(results, ({ operatorRestarts }) => operatorRestarts)} restarts asked of an operator`,
  );
  return failed;
}

function runShare(seeds: string[], tell: (result: Told) => void): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { seeds } });
  return new Promise((resolve, reject) => {
    worker.on('message', tell);
    worker.on('error', reject);
    worker.on('exit', () => resolve());
  });
}

function printViolations({ seed, violations }: Told): void {
  console.log(`seed ${seed} (replay: npm run sim -- --seed=${seed})`);
  for (const violation of violations) console.log(`  ${violation}`);
}

function sum(results: readonly Told[], of: (result: Told) => number): number {
  return results.reduce((total, result) => total + of(result), 0);
}

async function replay(seed: string): Promise<number> {
  const result = await simulate(seed);
  for (const line of result.trace) console.log(line);
  printViolations(result);
  console.log(`trace ${result.traceHash}, ${result.violations.length} violations`);
  return result.violations.length;
}

async function work(seeds: readonly string[]): Promise<void> {
  for (const seed of seeds) {
    const { trace: _, ...told } = await simulate(seed);
    parentPort!.postMessage(told);
  }
}

async function main(args: readonly string[]): Promise<number> {
  const flags = readFlags('npm run sim -- [options]', args, FLAGS);
  if (flags === undefined) return 0;
  const seed = textFlag(flags, 'seed', '');
  const failed =
    seed === '' ? await runSeeds(numberFlag(flags, 'seeds', SEEDS)) : await replay(seed);
  return failed === 0 ? 0 : 1;
}

if (isMainThread) process.exitCode = await main(process.argv.slice(2));
else await work((workerData as { seeds: string[] }).seeds);
