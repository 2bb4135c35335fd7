import { ParsedRequest } from '../agent/ingest/parsed-request.ts';
import { SeriesTable } from '../agent/series/series-table.ts';
import { SeriesRules } from '../agent/series-rules.ts';
import { WriteRequestWalker } from '../proto/remote-write/walker-1.ts';
import { decodeSnappy, snappyDeclaredBytes } from '../proto/snappy.ts';
import { type CapturedRequest, nodeMix15s, readCapture } from './capture.ts';
import { numberFlag, readFlags } from './flags.ts';
import { ingestFilters } from './ingest-filters.ts';
import { formatTable } from './table.ts';

const FLAGS = [
  { name: 'rounds', value: 'N', meaning: 'alternating runs of each, after two to warm up; 11' },
];
const WARM_UP_ROUNDS = 2;
const BODY_BYTES_MAX = 4 << 20;
const decoded = new Uint8Array(BODY_BYTES_MAX);
const walker = new WriteRequestWalker();

interface Contestant {
  name: string;
  table: SeriesTable;
  /** Milliseconds of each run. */
  runs: number[];
}

/**
 * Samples per second and core from remote write 1.0 bodies to columns with series ids, once every
 * series is known: with and without filters, which are asked for new series only.
 */
export async function run(args: readonly string[]): Promise<void> {
  const flags = readFlags('npm run bench -- ingest', args, FLAGS);
  if (flags === undefined) return;
  const rounds = numberFlag(flags, 'rounds', 11);
  const requests = readCapture(nodeMix15s);
  const contestants = startContestants();
  let samples = 0;
  const snappyRuns: number[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + rounds; round++) {
    for (const { table, runs } of contestants) {
      const startedMs = performance.now();
      const taken = ingest(requests, table);
      if (round >= WARM_UP_ROUNDS) runs.push(performance.now() - startedMs);
      samples = Math.max(samples, taken);
    }
    const startedMs = performance.now();
    for (const { body } of requests) decodeSnappy(body, decoded);
    if (round >= WARM_UP_ROUNDS) snappyRuns.push(performance.now() - startedMs);
  }
  const rate = (runs: number[]) => samples / median(runs) / 1000;
  const baseline = rate(contestants[0]!.runs);
  const rows = [...contestants, { name: 'snappy alone', runs: snappyRuns }].map(
    ({ name, runs }) => [name, rate(runs).toFixed(2), (rate(runs) / baseline).toFixed(3)],
  );
  console.log(`ingest: node-mix-15s, body to columns, median of ${rounds} alternating runs`);
  console.log(formatTable([['', 'M samples/s', 'of the first'], ...rows]));
}

function startContestants(): Contestant[] {
  const without = { name: 'no filters, no limits', gate: undefined };
  const filters = ingestFilters().map(({ name, config }) => {
    return { name, gate: new SeriesRules(config, () => {}).gate };
  });
  return [without, ...filters].map(({ name, gate }) => {
    return { name, table: new SeriesTable({ seriesMax: 1_000_000, gate }), runs: [] };
  });
}

/** @returns how many samples are left */
function ingest(requests: readonly CapturedRequest[], table: SeriesTable): number {
  const tenant = table.tenant('');
  let samples = 0;
  for (const { body } of requests) {
    const parsed = new ParsedRequest(table, tenant, {
      capacity: 2048,
      newestMs: Infinity,
      exemplarLabelLengthMax: 128,
    });
    decodeSnappy(body, decoded);
    walker.walk(decoded, snappyDeclaredBytes(body), parsed);
    samples += parsed.columns.count;
  }
  return samples;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((one, other) => one - other)[numbers.length >> 1]!;
}
