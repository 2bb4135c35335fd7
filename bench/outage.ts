import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import type { Flag } from '../cli/flags.ts';
import { fetchMetrics } from '../demo/metrics-page.ts';
import { WriteRequestEncoder } from '../proto/remote-write/encoder-1.ts';
import {
  type StarferryProcess,
  startAgentProcess,
  startHubProcess,
  writeToken,
} from '../test/e2e/starferry.ts';
import { startTcpProxy, type TcpProxy } from '../test/tools/tcp-proxy.ts';
import { until } from '../test/tools/until.ts';
import { Workspace } from '../test/tools/workspace.ts';
import { nodeMix15s, readCapture } from './capture.ts';
import { CapturedSamples } from './captured-samples.ts';
import { startDigestingDestination } from './digesting-destination.ts';
import { numberFlag, readFlags, textFlag } from './flags.ts';
import { LiveProbe } from './live-probe.ts';
import { push } from './push.ts';
import { SeriesDigests } from './series-digests.ts';
import { formatTable } from './table.ts';

const FLAGS: readonly Flag[] = [
  { name: 'samples', value: '20000000', meaning: 'how many are buffered before the link is back' },
  { name: 'order', value: 'oldest_first', meaning: 'or live_first: probes must not wait' },
  { name: 'max-delay', value: '5s', meaning: 'batch.max_delay of the agent, in seconds' },
];
const AGENT_ID = 'bench';
const TENANT = 'bench';
/** What one repetition of the capture lasts, in ms: its 20 minutes and a scrape interval. */
const CAPTURE_SPAN_MS = 1_215_000;
const WAIT_MS = 600_000;

/**
 * An outage of days in fast time: the capture again and again, each time later, into an agent
 * whose link is cut; then the link comes back. Real processes; the destination compares digests.
 *
 * @throws Error when samples are missing, differ or are out of order
 */
export async function run(args: readonly string[]): Promise<void> {
  const flags = readFlags('npm run bench -- outage [options]', args, FLAGS);
  if (flags === undefined) return;
  const samplesMin = numberFlag(flags, 'samples', 20_000_000);
  const order = textFlag(flags, 'order', 'oldest_first');
  const maxDelay = textFlag(flags, 'max-delay', '5s');
  const workspace = new Workspace('bench-outage');
  try {
    await measure(workspace, { samplesMin, order, maxDelay });
  } finally {
    await workspace.close();
  }
}

interface Options {
  samplesMin: number;
  order: string;
  maxDelay: string;
}

async function measure(workspace: Workspace, options: Options): Promise<void> {
  const sent = new SeriesDigests();
  const arrived = sent.sibling();
  const probe = new LiveProbe();
  const destination = await startDigestingDestination(arrived, (series, timestamp) =>
    probe.arrived(series, timestamp),
  );
  workspace.onClose(() => destination.close());
  const { agent, link } = await startEnds(workspace, destination.url, options);
  await link.cut();
  const rows: string[][] = [['', 'samples', 'B/sample on disk', 'agent RSS, MiB', 'seconds']];
  const note = (name: string, sinceMs: number): void => {
    const seconds = ((systemClock.now() - sinceMs) / 1000).toFixed(1);
    const perSample = (diskBytes(agent) / sent.samples).toFixed(2);
    rows.push([name, String(sent.samples), perSample, rssMib(agent), seconds]);
  };
  const capture = new CapturedSamples(readCapture(nodeMix15s));
  let startedMs = systemClock.now();
  const rounds = Math.ceil(options.samplesMin / capture.columns.count);
  for (let round = 0; round < rounds; round++) {
    await feed(agent, capture, sent, (round - rounds) * CAPTURE_SPAN_MS);
    if (round === 0 || round === rounds >> 1)
      note(`after ${round + 1} of ${rounds} rounds`, startedMs);
  }
  note('all is buffered', startedMs);
  startedMs = systemClock.now();
  await until('the backlog to be packed', WAIT_MS, () => isPacked(agent));
  note('all is packed', startedMs);
  const isLiveFirst = options.order === 'live_first';
  await link.restore();
  // How long the agent takes to notice that the link is back is not what the probe measures.
  await until('the backlog to arrive', WAIT_MS, () => arrived.samples > 0);
  startedMs = systemClock.now();
  const total = sent.samples;
  if (isLiveFirst) probe.run(agent.url, sent);
  await until('the backlog to be delivered', WAIT_MS, () => arrived.samples >= total);
  await probe.stop();
  await until('everything to be answered for', WAIT_MS, async () => {
    return (await metric(agent, 'buffer_samples')) === 0;
  });
  note('all is delivered', startedMs);
  console.log(`outage: node-mix-15s, ${rounds} times over, ${options.order}`);
  console.log(formatTable(rows));
  if (isLiveFirst) console.log(probe.report());
  check(sent, arrived, isLiveFirst);
}

/** @throws Error saying what is not as it should be */
function check(sent: SeriesDigests, arrived: SeriesDigests, mayBeReordered: boolean): void {
  const problems: string[] = [];
  if (arrived.samples !== sent.samples) {
    problems.push(`${arrived.samples} of ${sent.samples} samples arrived`);
  }
  if (!mayBeReordered) {
    const differing = sent.differences(arrived);
    if (differing > 0) problems.push(`${differing} series differ`);
    if (arrived.outOfOrder > 0) problems.push(`${arrived.outOfOrder} samples out of order`);
  }
  if (problems.length > 0) throw new Error(problems.join(', '));
  const order = mayBeReordered ? '' : ', each series in order and bit for bit';
  console.log(`  all ${sent.samples} samples arrived${order}`);
}

async function startEnds(
  workspace: Workspace,
  destinationUrl: string,
  { order, maxDelay }: Options,
): Promise<{ agent: StarferryProcess; link: TcpProxy }> {
  const tokenFile = writeToken(workspace, AGENT_ID);
  const hub = await startHubProcess(workspace, {
    name: 'hub',
    agents: [{ id: AGENT_ID, tokenFile, tenants: [TENANT] }],
    destination: { kind: 'cortex', url: destinationUrl },
  });
  const link = await startTcpProxy({ target: { host: '127.0.0.1', port: hub.port } });
  workspace.onClose(() => link.close());
  const agent = await startAgentProcess(workspace, {
    id: AGENT_ID,
    tokenFile,
    hubUrl: `http://127.0.0.1:${link.port}`,
    settings: { batch: { max_delay: maxDelay }, order },
  });
  return { agent, link };
}

/** Sends the capture, `shiftMs` from where it would end now. */
async function feed(
  agent: StarferryProcess,
  { series, columns, requests }: CapturedSamples,
  sent: SeriesDigests,
  shiftMs: number,
): Promise<void> {
  const encoder = new WriteRequestEncoder();
  const endMs = requests.at(-1)!.arrivedAtMs;
  const offsetMs = Math.round(systemClock.now() - endMs + shiftMs);
  const { ids, timestamps, valueBits } = columns;
  for (const { from, to } of requests) {
    for (let row = from; row < to; row++) {
      const { bytes } = series[ids[row]!]!;
      const timestamp = timestamps[row]! + offsetMs;
      const [low, high] = [valueBits[row * 2]!, valueBits[row * 2 + 1]!];
      encoder.series(bytes, 0, bytes.length);
      encoder.sample(timestamp, low, high);
      sent.add(sent.series(bytes, 0, bytes.length), timestamp, low, high);
    }
    await push(agent.url, encoder.finish());
  }
}

/** Packed is what makes a full pack; the last minutes may stay as they are. */
async function isPacked(agent: StarferryProcess): Promise<boolean> {
  const waiting = await metric(agent, 'buffer_samples');
  return waiting - (await metric(agent, 'buffer_packed_samples')) < 500_000;
}

async function metric(agent: StarferryProcess, name: string): Promise<number> {
  const page = await fetchMetrics(agent.url);
  if (page.kind === 'failed') throw new Error(page.message);
  return page.metrics.find((one) => one.name === `starferry_agent_${name}`)?.value ?? Number.NaN;
}

function diskBytes({ dataFolder }: StarferryProcess): number {
  return ['buffer.db', 'buffer.db-wal'].reduce(
    (sum, file) => sum + statSync(join(dataFolder, file)).size,
    0,
  );
}

function rssMib({ process }: StarferryProcess): string {
  const status = readFileSync(`/proc/${process.id}/status`, 'utf8');
  const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]);
  return (kib / 1024).toFixed(0);
}
