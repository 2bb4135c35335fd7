import type { Flag } from '../cli/flags.ts';
import { Workspace } from '../test/tools/workspace.ts';
import { type BorderBudget, borderBudget, totalBytes } from './border-budget.ts';
import { budgetTable } from './budget-table.ts';
import { type CapturedRequest, nodeMix15s, readCapture } from './capture.ts';
import { CapturedSamples } from './captured-samples.ts';
import { replay, requireDelivered, startFerry, untilDelivered } from './ferry.ts';
import { numberFlag, readFlags, textFlag } from './flags.ts';
import { batchColumns } from './formats/batch-columns.ts';
import { snappy, zstd3 } from './formats/compression.ts';
import { remoteWrite1 } from './formats/remote-write-1.ts';
import { remoteWrite2 } from './formats/remote-write-2.ts';
import { measure } from './formats/wire-format.ts';
import { formatTable } from './table.ts';

/** The other formats are also measured with as much in one body as ours takes by default. */
const BATCH_SPAN_MS = 5000;

const FLAGS: readonly Flag[] = [
  {
    name: 'speed',
    value: '60',
    meaning: 'how many times faster than captured: 1 takes 20 minutes, 10 takes two',
  },
  {
    name: 'max-delay',
    value: '5s',
    meaning: 'batch.max_delay of the agent, wall time whatever the speed',
  },
  { name: 'limit-seconds', value: '1200', meaning: 'only the first seconds of the capture' },
];

/**
 * Bytes per sample between an agent and a hub, beside what other formats need for the same
 * requests. Real processes, a recording relay between them, every sample checked bit for bit.
 *
 * @throws Error when a sample is missing or differs at the destination
 */
export async function run(args: readonly string[]): Promise<void> {
  const flags = readFlags('npm run bench -- wire [options]', args, FLAGS);
  if (flags === undefined) return;
  const speed = numberFlag(flags, 'speed', 60);
  const maxDelay = textFlag(flags, 'max-delay', '5s');
  const requests = firstSeconds(
    readCapture(nodeMix15s),
    numberFlag(flags, 'limit-seconds', Number.POSITIVE_INFINITY),
  );
  const samples = new CapturedSamples(requests);
  const { count } = samples.columns;
  console.log(
    `wire: node-mix-15s, ${count} samples of ${samples.series.length} series in ` +
      `${requests.length} requests, ${speed} times as fast as captured, max_delay ${maxDelay}`,
  );
  const budget = await ferry(requests, count, { speed, maxDelay });
  console.log(`  all ${count} samples arrived, bit for bit and in order\n`);
  console.log(`${comparison(budget, requests, samples)}\n`);
  console.log(budgetTable(budget, count, 'per sample'));
}

function firstSeconds(requests: CapturedRequest[], seconds: number): CapturedRequest[] {
  const startMs = requests[0]?.arrivedAtMs ?? 0;
  return requests.filter(({ arrivedAtMs }) => arrivedAtMs - startMs <= seconds * 1000);
}

/** Carries the requests across and returns what that cost on the wire. */
async function ferry(
  requests: readonly CapturedRequest[],
  samples: number,
  { speed, maxDelay }: { speed: number; maxDelay: string },
): Promise<BorderBudget> {
  const workspace = new Workspace('bench-wire');
  try {
    const parts = await startFerry(workspace, maxDelay);
    await replay(parts, requests, speed);
    await untilDelivered(parts, samples);
    const { link } = parts;
    const countedBytes = link.bytesUp + link.bytesDown;
    const budget = borderBudget(link.take());
    requireDelivered(parts, requests);
    if (totalBytes(budget.bytes) !== countedBytes) {
      throw new Error(`${countedBytes} bytes crossed, ${totalBytes(budget.bytes)} are explained`);
    }
    return budget;
  } finally {
    await workspace.close();
  }
}

function comparison(
  { bytes }: BorderBudget,
  requests: readonly CapturedRequest[],
  samples: CapturedSamples,
): string {
  const { count } = samples.columns;
  const ours = totalBytes(bytes) / count;
  const unchanged = `${(samples.unchangedShare() * 100).toFixed(1)} %`;
  const row = (name: string, requestBytes: number, batchBytes?: number) => [
    name,
    perSample(requestBytes, count),
    batchBytes === undefined ? '' : perSample(batchBytes, count),
    `${(requestBytes / count / ours).toFixed(1)}`,
    unchanged,
  ];
  const capturedBytes = requests.reduce((sum, { body }) => sum + body.length, 0);
  const formats = [
    remoteWrite1(snappy),
    remoteWrite1(zstd3),
    remoteWrite2(snappy),
    batchColumns(zstd3),
  ];
  const batches = samples.batches(BATCH_SPAN_MS);
  return formatTable([
    ['bytes per sample', 'per request', 'per 5 s', 'times ours', 'unchanged samples'],
    ['starferry: all TCP payload, both ways', '', ours.toFixed(3), '1.0', unchanged],
    row('remote write 1.0 as captured, with metadata', capturedBytes),
    ...formats.map((format) =>
      row(
        format.name,
        measure(format, samples, samples.requests),
        measure(format, samples, batches),
      ),
    ),
  ]);
}

function perSample(bytes: number, samples: number): string {
  return (bytes / samples).toFixed(3);
}
