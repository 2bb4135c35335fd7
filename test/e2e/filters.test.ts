import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { body } from '../agent/ingest-fixture.ts';
import { label, sample } from '../proto/wire-fixture.ts';
import { readMetric } from '../recovery/read-metric.ts';
import {
  type CheckingDestination,
  startCheckingDestination,
} from '../tools/checking-destination.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { type Chain, chainTenant, startChain } from './chain.ts';

const STEP_MS_MAX = 20_000;
const ONE = 0x3ff0_0000_0000_0000n;

let workspace: Workspace;
let destination: CheckingDestination;
let chain: Chain;
let list: string;
let timestamp = 1_700_000_000_000;

beforeEach(async () => {
  workspace = new Workspace('filters');
  destination = await startCheckingDestination();
  workspace.onClose(() => destination.close());
  chain = await startChain(workspace, {
    destination: { kind: 'generic', url: destination.url },
    agentSettings: {
      batch: { max_delay: '100ms' },
      external_labels: { cloud: 'aliyun' },
      write_relabel_configs: [
        { source_labels: ['job'], target_label: 'team', replacement: 't-$1' },
      ],
      drop_metrics_file: 'dropped.txt',
      drop_labels: ['pod'],
    },
    agent: {
      prepare({ folder }) {
        list = join(folder, 'dropped.txt');
        writeFileSync(list, '# nobody looks at these\ngo_*\n');
      },
    },
  });
});
afterEach(() => workspace.close());

/** Sends one sample of each metric and waits until one of them has arrived. */
async function send(names: string[], awaited: string): Promise<void> {
  timestamp++;
  const series = names.map((name) => [
    ...label('__name__', name),
    ...label('job', 'api'),
    ...label('pod', 'p1'),
    ...sample(timestamp, ONE),
  ]);
  const response = await fetch(chain.writeUrl, { method: 'POST', body: body(...series) });
  expect(response.status).toBe(204);
  await until(`${awaited} to arrive`, STEP_MS_MAX, () => arrivedAt(awaited).includes(timestamp));
}

/** Timestamps of the series with these labels. */
function arrivedAt(series: string): number[] {
  const samples = destination.samples(chainTenant).get(series) ?? [];
  return samples.map((one) => Number(one.timestamp));
}

const notation = (name: string, team = 't-api') =>
  `{__name__="${name}", cloud="aliyun", job="api", team="${team}"}`;
const metric = (name: string) => readMetric(chain.agent.url, `starferry_agent_${name}`);

function changeConfig(change: (settings: Record<string, unknown>) => void): void {
  const path = join(chain.agent.folder, 'agent.yml');
  const settings = parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  change(settings);
  writeFileSync(path, stringify(settings));
}

const reload = () => fetch(`${chain.agent.url}/-/reload`, { method: 'POST' });

test('series are changed and dropped on their way, and what rules dropped is counted', async () => {
  await send(['up', 'go_info', 'go_threads'], notation('up'));
  expect([...destination.samples(chainTenant).keys()]).toEqual([notation('up')]);
  const rule = '{reason="drop_metrics_file: go_*"}';
  expect(await metric(`filtered_samples_total${rule}`)).toBe(2);
  expect(await metric(`filtered_series_total${rule}`)).toBe(2);
  expect(await metric(`filtered_bytes_total${rule}`)).toBeGreaterThan(80);
  expect(await metric('received_samples_total')).toBe(1);
  expect(destination.violations).toEqual([]);
});

test('rules that a reload brings apply to the next sample of every series', async () => {
  await send(['up', 'go_info'], notation('up'));
  changeConfig((settings) => {
    settings['write_relabel_configs'] = [{ target_label: 'team', replacement: 'new' }];
    delete settings['drop_metrics_file'];
  });
  expect((await reload()).status).toBe(200);
  await send(['up', 'go_info'], notation('go_info', 'new'));
  expect(arrivedAt(notation('up', 'new'))).toEqual([timestamp]);
  expect(arrivedAt(notation('up'))).toEqual([timestamp - 1]);
});

test('a configuration that is wrong changes nothing, and the answer names what is wrong', async () => {
  changeConfig((settings) => {
    settings['write_relabel_configs'] = [{ regex: '(', target_label: 'team' }];
  });
  const answer = await reload();
  expect(answer.status).toBe(500);
  expect(await answer.text()).toContain('write_relabel_configs[0].regex');
  expect(await metric('config_last_reload_successful')).toBe(0);
  await send(['up'], notation('up'));
});

test('a list in a file is taken over when the file changes', async () => {
  writeFileSync(list, 'process_*\n');
  await until('the list to be taken over', STEP_MS_MAX, async () => {
    await send(['up', 'process_threads', 'go_info'], notation('up'));
    return arrivedAt(notation('go_info')).length > 0;
  });
  await send(['up', 'process_threads'], notation('up'));
  expect(arrivedAt(notation('process_threads'))).not.toContain(timestamp);
});

test('SIGHUP reloads as well', async () => {
  changeConfig((settings) => {
    settings['external_labels'] = { cloud: 'aws' };
  });
  const before = await metric('config_last_reload_success_timestamp_seconds');
  process.kill(chain.agent.process.id, 'SIGHUP');
  await until('the reload', STEP_MS_MAX, async () => {
    return (await metric('config_last_reload_success_timestamp_seconds')) > before;
  });
  await send(['up'], notation('up').replace('aliyun', 'aws'));
});
