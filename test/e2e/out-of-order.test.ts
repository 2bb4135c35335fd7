import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import snappyjs from 'snappyjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { label, sample, writeRequest } from '../proto/wire-fixture.ts';
import { readMetric } from '../recovery/read-metric.ts';
import { startPrometheus } from '../tools/prometheus.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { type Chain, startChain } from './chain.ts';

const run = promisify(execFile);
const node = fileURLToPath(new URL('../../node_modules/.bin/node', import.meta.url));
const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const deliveredMsMax = 20_000;
const lateSamples = 10;

/** Writes one series, a sample at each of these times. */
async function write({ writeUrl }: Chain, timestamps: readonly number[]): Promise<void> {
  const labels = [label('__name__', 'late_total'), label('job', 'out-of-order')];
  const samples = timestamps.map((timestamp) => sample(timestamp, BigInt(timestamp)));
  const body = snappyjs.compress(writeRequest([...labels, ...samples].flat()));
  const response = await fetch(writeUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
    body: Uint8Array.from(body),
  });
  expect(response.status).toBe(204);
}

describe.each([
  ['by default', undefined, 0],
  ['with an out-of-order window', '10m', lateSamples],
] as const)('a Prometheus as destination, %s', (_, outOfOrderTimeWindow, taken) => {
  const workspace = new Workspace('out-of-order');
  let chain: Chain;
  let counted: { acknowledged: number; rejected: number; waiting: number };
  let stored: number[];
  const newest = systemClock.now() - 1000;
  const late = Array.from({ length: lateSamples }, (_, at) => newest - 60_000 + at * 1000);

  const metric = (name: string) => readMetric(chain.agent.url, `starferry_agent_${name}`);

  beforeAll(async () => {
    const destination = await startPrometheus(workspace, {
      name: 'destination',
      receiver: true,
      ...(outOfOrderTimeWindow === undefined ? {} : { outOfOrderTimeWindow }),
    });
    chain = await startChain(workspace, {
      destination: { kind: 'prometheus', url: `${destination.url}/api/v1/write` },
    });
    await write(chain, [newest]);
    const isEmpty = async () => (await metric('buffer_samples')) === 0;
    await until('the newest sample to arrive', deliveredMsMax, isEmpty);
    await write(chain, late);
    await until('the late samples to be answered for', deliveredMsMax, isEmpty);
    counted = {
      acknowledged: await metric('acknowledged_samples_total'),
      rejected: await metric('rejected_samples_total{reason="out_of_order"}'),
      waiting: await metric('buffer_samples'),
    };
    const samples = await destination.readSamples(newest - 120_000, newest);
    stored = [...samples.values()].flat().map(({ timestamp }) => timestamp);
  }, 90_000);
  afterAll(() => workspace.close());

  test(`takes ${taken} of ${lateSamples} late samples`, () => {
    expect(stored).toEqual([...(taken > 0 ? late : []), newest]);
  });

  test('every sample is accounted for', () => {
    expect(counted).toEqual({
      acknowledged: 1 + taken,
      rejected: lateSamples - taken,
      waiting: 0,
    });
  });

  test('what was refused is kept at the hub, with its reason', async () => {
    const config = join(chain.hub.folder, 'hub.yml');
    const list = ['refused', 'list', `--config.file=${config}`];
    const { stdout } = await run(node, [main, ...list]);
    if (taken > 0) expect(stdout).not.toContain('out_of_order');
    else expect(stdout).toMatch(/out_of_order/);
  });
});
