import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadHubConfig } from '../../hub/config.ts';
import { type RunningHub, runHub } from '../../hub/main.ts';
import { AgentDouble } from '../hub/receive-fixture.ts';
import { readMetric } from '../recovery/read-metric.ts';
import {
  type CheckingDestination,
  startCheckingDestination,
} from '../tools/checking-destination.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { Workspace } from '../tools/workspace.ts';
import { type Ended, starferry } from './run-starferry.ts';

const workspace = new Workspace('cli-refused');
const configFile = join(workspace.folder, 'hub.yaml');
/** What the destination refuses at the moment. */
let guilty = new Set<number>();
let destination: CheckingDestination;
let hub: RunningHub;

beforeAll(async () => {
  destination = await startCheckingDestination({
    semantics: 'cortex',
    refuse: (_tenant, _series, { timestamp }) =>
      guilty.has(timestamp) ? `timestamp too new: ${timestamp} metric: "x"` : undefined,
  });
  workspace.onClose(() => destination.close());
  const yaml = `
listen: 127.0.0.1:0
data_dir: ${join(workspace.folder, 'data')}
agents: [{id: sg, tenants: [overseas]}]
destination: {kind: cortex, url: "${destination.url}", lanes: 1, refusal_search_per_minute: 0}`;
  writeFileSync(configFile, yaml);
  hub = await startHub();
  await deliver();
});
afterAll(() => workspace.close());

async function startHub(): Promise<RunningHub> {
  const loaded = loadHubConfig(configFile);
  if (loaded.kind === 'errors') throw new Error(loaded.lines.join('\n'));
  const running = await runHub(loaded.value, { log: memoryLog().log });
  let isOpen = true;
  const close = async (deadlineMs: number) => {
    if (isOpen) await running.close(deadlineMs);
    isOpen = false;
  };
  workspace.onClose(() => close(0));
  return { url: running.url, close };
}

/** Two batches of an agent; one sample of each is refused. */
async function deliver(): Promise<void> {
  const agent = new AgentDouble(1n);
  const [up, down, left, right] = ['up', 'down', 'left', 'right'].map((name) => agent.series(name));
  guilty = new Set([1000, 3000]);
  const batches = [
    agent.live(
      7n,
      0,
      [
        [up!, 1000],
        [down!, 1500],
      ],
      [1, 1],
    ),
    agent.live(
      7n,
      1,
      [
        [left!, 2000],
        [right!, 3000],
      ],
      [2, 2],
    ),
  ];
  for (const batch of batches) {
    const headers = { authorization: `Basic ${btoa('sg:')}` };
    const body = Buffer.from(batch);
    const { status } = await fetch(`${hub.url}/v1/batch`, { method: 'POST', headers, body });
    expect(status).toBe(200);
  }
}

function refused(action: 'list' | 'replay', ...flags: string[]): Promise<Ended> {
  return starferry(['refused', action, `--config.file=${configFile}`, ...flags]);
}

const jsonLines = ({ stdout }: Ended) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('while the hub runs', () => {
  test('list shows equal refusals together, with all there is to know', async () => {
    const { code, stdout, stderr } = await refused('list');
    expect([code, stderr]).toEqual([0, '']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toEqual([
      'sg into overseas: too_new, 2 refused and 2 unknown in 2 records',
      expect.stringMatching(/^ {2}recorded {2}20\S+Z( to 20\S+Z)?$/),
      '  samples   1970-01-01T00:00:01.000Z to 1970-01-01T00:00:03.000Z',
      expect.stringMatching(/^ {2}answer {4}400 maxFailure .*timestamp too new: 3000 metric: "x"$/),
      '  series    {__name__="left"}',
      '            {__name__="right"}',
      '  last id   2',
    ]);
  });

  test('list selects, as groups or one by one, for people or as JSON', async () => {
    const ended = await Promise.all([
      refused('list', '--json'),
      refused('list', '--records', '--json', '--agent=sg', '--tenant=overseas', '--since=1h'),
      refused('list', '--id=2', '--reason=unknown'),
      refused('list', '--agent=fra'),
      refused('list', '--since=0s', '--json'),
    ]);
    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);
    expect(jsonLines(ended[0])).toMatchObject([{ agent: 'sg', records: 2, refused: 2, lastId: 2 }]);
    expect(jsonLines(ended[1])).toMatchObject([
      { id: 1, oldest: 1000, newest: 1500, isIntact: true },
      { id: 2, oldest: 2000, newest: 3000, bodyBytes: expect.any(Number) },
    ]);
    expect(ended[2].stdout).toMatch(/^2: sg into overseas: too_new, 1 refused and 1 unknown\n/);
    expect(ended[3].stdout).toBe('Nothing is kept that matches.\n');
    expect(ended[4].stdout).toBe('');
  });

  test('metrics and status say what is kept', async () => {
    expect(await readMetric(hub.url, 'starferry_hub_refused_records')).toBe(2);
    expect(await readMetric(hub.url, 'starferry_hub_refused_record_bytes')).toBeGreaterThan(500);
    const rejected = 'starferry_hub_rejected_samples_total{agent="sg",reason="too_new"}';
    expect(await readMetric(hub.url, rejected)).toBe(2);
    const status = await (await fetch(`${hub.url}/api/v1/status`)).json();
    expect(status).toMatchObject({ refused: [{ reason: 'too_new', records: 2, unknown: 2 }] });
  });

  test('replay stops when the destination takes nothing, and loses nothing', async () => {
    destination.answerAllWith(401);
    const { code, stdout } = await refused('replay');
    destination.answerAllWith(undefined);
    expect(stdout).toBe(
      '1: not taken, kept: 401\n' +
        'samples: 0 accepted, 0 refused again; records: 1 still open, 1 not tried\n',
    );
    expect(code).toBe(1);
  });

  test('replay sends all again, oldest first, and says what is refused again', async () => {
    const sentBefore = destination.requests.length;
    guilty = new Set([3000]);
    const { code, stdout } = await refused('replay');
    expect(stdout.trimEnd().split('\n')).toEqual([
      '1: 2 accepted',
      expect.stringMatching(/^2: 0 accepted, 1 refused and 1 unknown again as too_new \(400 .*\)$/),
      'samples: 2 accepted, 1 refused and 1 unknown again; records: 1 still open, 0 not tried',
    ]);
    expect(code).toBe(1);
    expect(destination.requests.slice(sentBefore).map(({ tenant }) => tenant)).toEqual([
      'overseas',
      'overseas',
    ]);
    expect(await readMetric(hub.url, 'starferry_hub_refused_records')).toBe(1);
  });
});

describe('while the hub does not run', () => {
  beforeAll(() => hub.close(5000));

  test('what it has kept stays, for the next one too', async () => {
    const again = await startHub();
    expect(await readMetric(again.url, 'starferry_hub_refused_records')).toBe(1);
    await again.close(0);
  });

  test('list and replay work as well, until nothing is left', async () => {
    expect(jsonLines(await refused('list', '--json'))).toMatchObject([{ records: 1 }]);
    guilty = new Set();
    const kept = await refused('replay', '--keep');
    expect([kept.code, kept.stdout]).toEqual([
      0,
      '2: 2 accepted\nsamples: 2 accepted, 0 refused again; records: 0 still open, 0 not tried\n',
    ]);
    expect((await refused('replay', '--id=2')).code).toBe(0);
    expect((await refused('list')).stdout).toBe('Nothing is kept that matches.\n');
    const stored = [...destination.samples('overseas').values()].flat();
    expect(stored.map(({ timestamp }) => timestamp).sort()).toEqual([1000, 1500, 2000, 3000]);
  });

  test('a data_dir without a record is an error that names it', async () => {
    const { code, stderr } = await refused('list', `--data-dir=${workspace.folder}`);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining(`no refused.db in ${workspace.folder}`),
    ]);
  });
});
