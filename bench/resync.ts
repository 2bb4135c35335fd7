import { rmSync } from 'node:fs';
import { Workspace } from '../test/tools/workspace.ts';
import { type BorderBudget, borderBudget, framingBytes, totalBytes } from './border-budget.ts';
import { type CapturedRequest, nodeMix15s, readCapture } from './capture.ts';
import { CapturedSamples } from './captured-samples.ts';
import { type Ferry, replay, requireDelivered, startFerry, untilDelivered } from './ferry.ts';
import { readFlags } from './flags.ts';
import { formatTable } from './table.ts';

/** One scrape of everything: what follows a restart names every series once. */
const SCRAPE_INTERVAL_MS = 15_000;
/** Only the end state matters here, so the capture goes in as fast as it will. */
const SPEED = 1000;

/**
 * What it costs to go on after the hub was restarted, and after it lost its data_dir: the whole
 * capture is delivered first, its last scrape is sent once more after each of the two.
 *
 * @throws Error when entries cross again after a plain restart, or samples differ at the end
 */
export async function run(args: readonly string[]): Promise<void> {
  if (readFlags('npm run bench -- resync', args, []) === undefined) return;
  const requests = readCapture(nodeMix15s);
  const all = new CapturedSamples(requests).columns.count;
  const lastScrape = lastRequests(requests, SCRAPE_INTERVAL_MS);
  const { columns, series } = new CapturedSamples(lastScrape);
  const workspace = new Workspace('bench-resync');
  try {
    const ferry = await startFerry(workspace, '1s');
    await replay(ferry, requests, SPEED);
    await untilDelivered(ferry, all);
    const restarted = await goOn(ferry, lastScrape, all + columns.count, () => {});
    print('after a plain restart of the hub', restarted, series.length);
    const lost = await goOn(ferry, lastScrape, all + columns.count * 2, () =>
      rmSync(ferry.hub.dataFolder, { recursive: true }),
    );
    print('after the hub lost its data_dir', lost, series.length);
    requireDelivered(ferry, requests);
    const again = restarted.seriesEntries + restarted.metadataEntries;
    if (again > 0) throw new Error(`${again} entries crossed again after a plain restart`);
  } finally {
    await workspace.close();
  }
}

function lastRequests(requests: readonly CapturedRequest[], spanMs: number): CapturedRequest[] {
  const endMs = requests.at(-1)?.arrivedAtMs ?? 0;
  return requests.filter(({ arrivedAtMs }) => arrivedAtMs > endMs - spanMs);
}

/** Stops the hub, does to it what `whileDown` does, starts it, sends `requests` once more. */
async function goOn(
  ferry: Ferry,
  requests: readonly CapturedRequest[],
  samples: number,
  whileDown: () => void,
): Promise<BorderBudget> {
  await ferry.hub.process.stop();
  ferry.link.take();
  whileDown();
  await ferry.hub.start();
  await replay(ferry, requests, SPEED);
  await untilDelivered(ferry, samples);
  return borderBudget(ferry.link.take());
}

function print(title: string, budget: BorderBudget, series: number): void {
  const { bytes, seriesEntries, metadataEntries, exchanges } = budget;
  const row = (name: string, lineBytes: number) => [
    name,
    String(lineBytes),
    (lineBytes / series).toFixed(2),
  ];
  const table = formatTable([
    [title, 'bytes', 'per series'],
    row(`dictionary: ${seriesEntries} series`, bytes.seriesEntries),
    row(`first samples of ${series} series`, bytes.samples),
    row(`framing of ${exchanges} exchanges`, framingBytes(bytes) + bytes.broken),
    row('all but metadata', totalBytes(bytes) - bytes.metadataEntries),
    row(`dictionary: ${metadataEntries} metadata records`, bytes.metadataEntries),
  ]);
  console.log(`${table}\n`);
}
