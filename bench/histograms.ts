import type { Flag } from '../cli/flags.ts';
import { WriteRequestEncoder } from '../proto/remote-write/encoder-1.ts';
import { WriteRequest2Encoder } from '../proto/remote-write/encoder-2.ts';
import type { WriteEncoder } from '../proto/remote-write/write-encoder.ts';
import { encodeRows } from '../proto/remote-write/written-rows.ts';
import { decodeWhole1, decodeWhole2, type WholeSeries } from '../test/tools/whole-remote-write.ts';
import { Workspace } from '../test/tools/workspace.ts';
import { type BorderBudget, borderBudget, totalBytes } from './border-budget.ts';
import { budgetTable } from './budget-table.ts';
import type { CapturedRequest } from './capture.ts';
import { startCollectingDestination } from './collecting-destination.ts';
import { replay, startEnds, untilDelivered } from './ferry.ts';
import { numberFlag, readFlags, textFlag } from './flags.ts';
import { type HistogramStream, histogramStream } from './histogram-stream.ts';
import { formatTable } from './table.ts';

const FLAGS: readonly Flag[] = [
  { name: 'series', value: '200', meaning: 'native histograms, scraped every 15 s' },
  { name: 'scrapes', value: '80', meaning: 'of each series: 80 are 20 minutes' },
  { name: 'exemplar-every', value: '4', meaning: 'so many histograms bring an exemplar' },
  { name: 'speed', value: '60', meaning: 'how many times faster than they were scraped' },
  {
    name: 'max-delay',
    value: '5s',
    meaning: 'batch.max_delay of the agent, wall time whatever the speed',
  },
];

/**
 * Bytes per native histogram between an agent and a hub, exemplars included, beside what both
 * versions of remote write need for the same. Real processes; every histogram is compared.
 *
 * @throws Error when something is missing or differs
 */
export async function run(args: readonly string[]): Promise<void> {
  const flags = readFlags('npm run bench -- histograms [options]', args, FLAGS);
  if (flags === undefined) return;
  const series = numberFlag(flags, 'series', 200);
  const scrapes = numberFlag(flags, 'scrapes', 80);
  const stream = histogramStream(series, scrapes, numberFlag(flags, 'exemplar-every', 4));
  const speed = numberFlag(flags, 'speed', 60);
  const maxDelay = textFlag(flags, 'max-delay', '5s');
  const { histograms, columns, requests } = stream;
  console.log(
    `histograms: ${histograms} of ${series} series and ${columns.count - histograms} exemplars in ` +
      `${requests.length} requests, ${speed} times as fast as scraped, max_delay ${maxDelay}`,
  );
  const bodies1 = bodies(stream, new WriteRequestEncoder());
  const bodies2 = bodies(stream, new WriteRequest2Encoder());
  const sent = bodies1.flatMap(decodeWhole1);
  requireSame('remote write 2.0', sent, bodies2.flatMap(decodeWhole2));
  const captured = requests.map(({ arrivedAtMs }, at): CapturedRequest => {
    return { arrivedAtMs, body: Buffer.from(bodies1[at]!) };
  });
  const { budget, arrived } = await ferry(captured, columns.count, { speed, maxDelay });
  requireSame('what arrived', sent, arrived.flatMap(decodeWhole1));
  console.log('  all of them arrived, bit for bit and in order\n');
  const rows: [string, number][] = [
    ['starferry: all TCP payload, both ways', totalBytes(budget.bytes)],
    ['remote write 1.0 + snappy', total(bodies1)],
    ['remote write 2.0 + snappy', total(bodies2)],
  ];
  const times = (bytes: number) => (bytes / rows[0]![1]).toFixed(1);
  console.log(
    `${formatTable([
      ['bytes per histogram, exemplars included', '', 'times ours'],
      ...rows.map(([name, bytes]) => [name, (bytes / histograms).toFixed(2), times(bytes)]),
    ])}\n`,
  );
  console.log(budgetTable(budget, histograms, 'per histogram'));
}

function bodies({ labels, columns, requests }: HistogramStream, encoder: WriteEncoder) {
  return requests.map(({ from, to }) => {
    const rows = Uint32Array.from({ length: to - from }, (_, at) => from + at);
    return encodeRows(encoder, columns, rows, (id) => {
      encoder.series(labels[id]!, 0, labels[id]!.length);
    });
  });
}

/** Carries the requests across; what that cost on the wire, and the bodies that came out. */
async function ferry(
  requests: readonly CapturedRequest[],
  rows: number,
  { speed, maxDelay }: { speed: number; maxDelay: string },
): Promise<{ budget: BorderBudget; arrived: readonly Uint8Array[] }> {
  const workspace = new Workspace('bench-histograms');
  try {
    const destination = await startCollectingDestination(workspace);
    const ends = await startEnds(workspace, maxDelay, destination.url);
    await replay(ends, requests, speed);
    await untilDelivered(ends, rows);
    return { budget: borderBudget(ends.link.take()), arrived: destination.bodies };
  } finally {
    await workspace.close();
  }
}

/** Compares histograms and exemplars of each series, in their order. */
function requireSame(what: string, sent: WholeSeries[], arrived: WholeSeries[]): void {
  const [expected, found] = [bySeries(sent), bySeries(arrived)];
  for (const key of new Set([...expected.keys(), ...found.keys()])) {
    if (expected.get(key) !== found.get(key)) throw new Error(`${what} differs: ${key}`);
  }
}

function bySeries(all: WholeSeries[]): Map<string, string> {
  const series = new Map<string, string>();
  for (const { labels, histograms, exemplars } of all) {
    for (const [kind, objects] of Object.entries({ histograms, exemplars })) {
      const key = `${kind} of ${labels.join()}`;
      series.set(key, (series.get(key) ?? '') + objects.map((one) => JSON.stringify(one)).join(''));
    }
  }
  return series;
}

function total(some: readonly Uint8Array[]): number {
  return some.reduce((sum, body) => sum + body.length, 0);
}
