import { describeMachine } from './machine.ts';

/** Benchmarks by name; loaded when asked for, so that one's parts do not weigh on another. */
const BENCHMARKS = new Map<
  string,
  () => Promise<{ run(args: readonly string[]): Promise<void> | void }>
>([
  ['wire', () => import('./wire.ts')],
  ['histograms', () => import('./histograms.ts')],
  ['resync', () => import('./resync.ts')],
  ['outage', () => import('./outage.ts')],
  ['packs', () => import('./packs.ts')],
  ['link', () => import('./link/main.ts')],
  ['ingest', () => import('./ingest.ts')],
  ['codec', () => import('./codec.ts')],
]);

async function main([name = '', ...args]: readonly string[]): Promise<number> {
  const load = BENCHMARKS.get(name);
  if (load === undefined) {
    const names = [...BENCHMARKS.keys()].join('|');
    console.error(`usage: npm run bench -- ${names} [options]; --help lists them`);
    return 2;
  }
  console.log(describeMachine());
  try {
    const { run } = await load();
    await run(args);
    return Number(process.exitCode ?? 0);
  } catch (error) {
    console.error(error);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
