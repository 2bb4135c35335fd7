import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import { labelBytes } from '../hub/series-fixture.ts';
import { exemplarBytes } from '../proto/objects/columns-fixture.ts';
import { type Prometheus, startPrometheus } from '../tools/prometheus.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { type Chain, startChain } from './chain.ts';

const LABELS = labelBytes({ __name__: 'latency', job: 'api' });
const FEATURES = '--enable-feature=native-histograms,exemplar-storage';

/** Schema 0: 2 observations in (1, 2], `others` in (2, 4], their sum 7. */
function histogram(others: number): Uint8Array {
  const sum = new Uint8Array(8);
  new DataView(sum.buffer).setFloat64(0, 7, true);
  const span = [0x5a, 4, 0x08, 2, 0x10, 2];
  const deltas = [0x62, 2, 4, (others - 2) * 2];
  return Uint8Array.from([0x08, 2 + others, 0x19, ...sum, 0x20, 0, ...span, ...deltas]);
}

async function push(url: string, fill: (encoder: WriteRequestEncoder) => void): Promise<void> {
  const encoder = new WriteRequestEncoder();
  encoder.series(LABELS, 0, LABELS.length);
  fill(encoder);
  const response = await fetch(url, { method: 'POST', body: Buffer.from(encoder.finish()) });
  expect(response.status).toBe(204);
}

async function ask(prometheus: Prometheus, path: string, query: Record<string, string>) {
  const response = await fetch(`${prometheus.url}/api/v1/${path}?${new URLSearchParams(query)}`);
  return ((await response.json()) as { data: unknown }).data;
}

describe('native histograms and exemplars of a real chain', () => {
  const workspace = new Workspace('native-histograms');
  const now = Math.floor(Date.now() / 1000) * 1000;
  let destination: Prometheus;
  let chain: Chain;

  beforeAll(async () => {
    const options = { name: 'destination', receiver: true, extraFlags: [FEATURES] };
    destination = await startPrometheus(workspace, options);
    const url = `${destination.url}/api/v1/write`;
    chain = await startChain(workspace, { destination: { kind: 'prometheus', url } });
  }, 60_000);
  afterAll(() => workspace.close());

  test('are stored by Prometheus as they were sent, before and after floats of the series', async () => {
    await push(chain.writeUrl, (encoder) => encoder.histogram(now - 3000, histogram(3)));
    await push(chain.writeUrl, (encoder) => {
      encoder.sample(now - 2000, 0, 0x40000000);
      encoder.exemplar(now - 2000, exemplarBytes('x'));
    });
    await push(chain.writeUrl, (encoder) => encoder.histogram(now - 1000, histogram(5)));
    const at = (ms: number) =>
      ask(destination, 'query', { query: 'latency', time: String(ms / 1000) }) as Promise<{
        result: { value?: unknown[]; histogram?: [number, object] }[];
      }>;
    await until('the last histogram to be stored', 30_000, async () => {
      const [, stored] = (await at(now - 1000)).result[0]?.histogram ?? [];
      return (stored as { count?: string } | undefined)?.count === '7';
    });
    const [first, second, third] = await Promise.all([3000, 2000, 1000].map((ms) => at(now - ms)));
    const buckets = (others: number) => ({
      count: String(2 + others),
      sum: '7',
      buckets: [
        [0, '1', '2', '2'],
        [0, '2', '4', String(others)],
      ],
    });
    expect(first?.result[0]?.histogram?.[1]).toEqual(buckets(3));
    expect(second?.result[0]?.value?.[1]).toBe('2');
    expect(third?.result[0]?.histogram?.[1]).toEqual(buckets(5));
    const exemplars = await ask(destination, 'query_exemplars', {
      query: 'latency',
      start: String((now - 10_000) / 1000),
      end: String(now / 1000),
    });
    expect(exemplars).toMatchObject([{ exemplars: [{ labels: { trace_id: 'x' } }] }]);
  });
});

describe('a Prometheus that knows version 1.0 only', () => {
  const workspace = new Workspace('version-1-only');
  afterAll(() => workspace.close());

  test('loses nothing of what is sent to it in version 2.0: the hub holds it and says why', async () => {
    const destination = await startPrometheus(workspace, { name: 'destination', receiver: true });
    const url = `${destination.url}/api/v1/write`;
    const chain = await startChain(workspace, {
      destination: { kind: 'prometheus', protocol: 'v2', url },
    });
    await push(chain.writeUrl, (encoder) => encoder.sample(Date.now(), 0, 0));
    await chain.hub.process.waitForLog('destination.protocol: v1', 30_000);
    const metrics = await (await fetch(`${chain.hub.url}/metrics`)).text();
    expect(metrics).toMatch(/^starferry_hub_destination_misconfigured_requests 1$/m);
    const agent = await (await fetch(`${chain.agent.url}/metrics`)).text();
    expect(agent).toMatch(
      /^starferry_agent_buffer_samples\{[^}]*\} 1$|^starferry_agent_buffer_samples 1$/m,
    );
  }, 60_000);
});

describe('what a Prometheus of version 3 refuses of version 2.0', () => {
  const workspace = new Workspace('version-2-refusals');
  afterAll(() => workspace.close());

  test('is counted to the sample, and nothing is sent twice to find it', async () => {
    const options = { name: 'destination', receiver: true, suite: 'forky' as const };
    const { url } = await startPrometheus(workspace, options);
    const { hub, writeUrl } = await startChain(workspace, {
      destination: { kind: 'prometheus', protocol: 'v2', url: `${url}/api/v1/write` },
    });
    const now = Date.now();
    const metric = async (line: string) => {
      const text = await (await fetch(`${hub.url}/metrics`)).text();
      return text
        .split('\n')
        .find((one) => one.startsWith(line))
        ?.split(' ')[1];
    };
    await push(writeUrl, (encoder) => encoder.sample(now, 0, 0));
    const written = 'starferry_hub_written_samples_total';
    await until('the first sample', 20_000, async () => (await metric(written)) === '1');
    await push(writeUrl, (encoder) => {
      for (const ms of [-2000, -1000, 1, 2, 3]) encoder.sample(now + ms, 0, 0);
    });
    const rejected = 'starferry_hub_rejected_samples_total';
    await until('the refusals', 20_000, async () => (await metric(written)) === '4');
    expect(await metric(`${rejected}{agent="agent-one",reason="out_of_order"}`)).toBe('2');
    expect(await metric('starferry_hub_destination_requests_total{code="204"}')).toBe('1');
    expect(await metric('starferry_hub_destination_requests_total{code="400"}')).toBe('1');
  }, 60_000);
});
