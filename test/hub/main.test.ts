import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkConfig } from '../../base/config-file.ts';
import { sendText, startHttpServer } from '../../base/http-server.ts';
import { hubConfigSchema } from '../../hub/config.ts';
import { runHub } from '../../hub/main.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { AgentDouble } from './receive-fixture.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace('hub-main');
});
afterEach(() => workspace.close());

/** What a hub logs at its start. */
async function startLines(agents: object[]): Promise<unknown[]> {
  const file = {
    listen: '127.0.0.1:0',
    data_dir: workspace.subfolder('data'),
    agents,
    destination: { kind: 'cortex', url: 'http://127.0.0.1:1/' },
  };
  const config = checkConfig(file, hubConfigSchema('.'));
  if (config.kind === 'errors') throw new Error(config.lines.join('\n'));
  const { log, lines } = memoryLog();
  const hub = await runHub(config.value, { log });
  await hub.close(0);
  return lines.map(({ msg }) => msg);
}

test('a hub warns at its start of agents that share a tenant, and of nothing otherwise', async () => {
  expect(await startLines([{ id: 'sg' }, { id: 'fra', tenants: ['fra'] }])).toEqual([
    'the hub is ready',
    'the hub has stopped',
  ]);
  expect(await startLines([{ id: 'sg' }, { id: 'fra' }])).toEqual([
    expect.stringMatching(/^agents: tenant anonymous is shared by the agents sg, fra: /),
    'the hub is ready',
    'the hub has stopped',
  ]);
});

const TOKEN = 'a-token-that-nobody-may-see';
const basic = (credentials: string) => `Basic ${Buffer.from(credentials).toString('base64')}`;

/** A hub with one listener for everything, in front of a destination that answers `status`. */
async function startHub(status: () => number) {
  const sink = await startHttpServer({
    ...SINK,
    routes: [
      {
        method: 'POST',
        path: '/',
        handle: async (request, response) => {
          request.resume();
          await once(request, 'end');
          sendText(response, status(), 'so it is\n');
        },
      },
    ],
  });
  const tokenFile = join(workspace.folder, 'token');
  writeFileSync(tokenFile, TOKEN);
  const file = {
    listen: '127.0.0.1:0',
    data_dir: workspace.subfolder('data'),
    agents: [
      { id: 'sg', token_file: tokenFile, tenants: ['a', 'b'] },
      { id: 'fra', tenants: ['c'] },
    ],
    destination: { kind: 'cortex', url: sink.url },
  };
  const config = checkConfig(file, hubConfigSchema('.'));
  if (config.kind === 'errors') throw new Error(config.lines.join('\n'));
  const { log, lines } = memoryLog();
  const hub = await runHub(config.value, { log });
  const text = async (path: string) => (await fetch(hub.url + path)).text();
  const send = (frame: Uint8Array, credentials = `sg:${TOKEN}`) =>
    fetch(`${hub.url}/v1/batch`, {
      method: 'POST',
      body: Buffer.from(frame),
      headers: { authorization: basic(credentials) },
    });
  const end = async () => {
    await hub.close(0);
    await sink.close(0);
  };
  return { config: config.value, lines, text, send, end };
}

const SINK = {
  listen: { host: '127.0.0.1', port: 0 },
  log: memoryLog().log,
  headerTimeoutMs: 5000,
  requestTimeoutMs: 5000,
  connectionAgeMaxMs: 60_000,
  connectionsMax: 100,
};

/** The value of a series in a text exposition. */
function sampleOf(text: string, series: string): number | undefined {
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.split(' ')[1]);
}

const lagOf = (tenant: string) => `starferry_hub_agent_lag_seconds{agent="sg",tenant="${tenant}"}`;
const heardOf = (agent: string) =>
  `starferry_hub_agent_last_heard_timestamp_seconds{agent="${agent}"}`;

test('the lag of a tenant outlives the hub, and that of one that is refused grows', async () => {
  let answer = 200;
  const first = await startHub(() => answer);
  const agent = new AgentDouble(1n);
  const [a, b] = [agent.series('up', 'a'), agent.series('up', 'b')];
  const sentAtMs = Date.now();
  const batch = (stream: bigint, tenant: string, id: number, place: number) =>
    agent.live(stream, 0, [[id, sentAtMs - 10_000]], [place, place], {
      sentAtMs,
      keyframe: agent.keyframe(tenant),
    });
  expect((await first.send(batch(1n, 'a', a, 1))).status).toBe(200);
  answer = 400;
  expect((await first.send(batch(2n, 'b', b, 1))).status).toBe(200);
  const before = await first.text('/metrics');
  expect(sampleOf(before, lagOf('a'))).toBeGreaterThanOrEqual(10);
  // All of it was refused: the tenant has nothing.
  expect(sampleOf(before, lagOf('b'))).toBeGreaterThanOrEqual(0);
  expect(JSON.parse(await first.text('/api/v1/status')).agents[0].lags).toMatchObject([
    { tenant: 'a', newestSampleMs: sentAtMs - 10_000 },
    { tenant: 'b', newestSampleMs: null },
  ]);
  await first.end();

  const second = await startHub(() => 500);
  const after = await second.text('/metrics');
  expect(sampleOf(after, lagOf('a'))).toBeGreaterThanOrEqual(sampleOf(before, lagOf('a'))!);
  expect(sampleOf(after, lagOf('b'))).toBeGreaterThanOrEqual(sampleOf(before, lagOf('b'))!);
  expect(sampleOf(after, heardOf('sg'))).toBeGreaterThan(1_700_000_000);
  expect(sampleOf(after, heardOf('fra'))).toBe(0);
  await second.end();
});

test('who proves to be no agent is counted and logged with the address, and never the token', async () => {
  const hub = await startHub(() => 200);
  for (let n = 0; n < 30; n++) await hub.send(Buffer.from('junk'), `sg:${TOKEN}!`);
  await hub.send(Buffer.from('junk'), `${TOKEN}:sg`);
  const metrics = await hub.text('/metrics');
  const refused = (reason: string) =>
    sampleOf(metrics, `starferry_hub_refused_credentials_total{reason="${reason}"}`);
  expect([refused('wrong_token'), refused('unknown_agent')]).toEqual([30, 1]);
  const lines = hub.lines.filter(({ reason }) => reason !== undefined);
  expect(lines).toHaveLength(11);
  expect(lines[0]).toMatchObject({
    agent: 'sg',
    reason: 'wrong_token',
    address: expect.stringMatching(/127\.0\.0\.1:\d+$/),
  });
  expect(lines.at(-1)).not.toHaveProperty('agent');
  expect(JSON.stringify(hub.lines)).not.toContain(TOKEN);
  await hub.end();
});

test('files that go while the hub runs cost nothing but a resend, and are in status and metrics', async () => {
  const hub = await startHub(() => 200);
  const agent = new AgentDouble(1n);
  const id = agent.series('up', 'a');
  const batch = (place: number) =>
    agent.live(BigInt(place), 0, [[id, 1000 + place]], [place, place], {
      keyframe: agent.keyframe('a'),
    });
  expect((await hub.send(batch(1))).status).toBe(200);
  const isSaved = () => rowsOf('lags') === 1 && rowsOf('positions') === 1;
  await until('all that is known to be saved', 10_000, isSaved);
  rmSync(hub.config.dataDir, { recursive: true });
  const isTaken = (place: number) => async () => (await hub.send(batch(place))).status === 200;
  await until('a batch to be taken again', 10_000, isTaken(2));
  await until('all that was known to be in a new hub.db', 10_000, isSaved);
  // What was stored of the dictionary went with the files, and the agent states it again.
  await until('the next batch to be taken', 10_000, isTaken(3));
  expect(rowsOf('entries')).toBe(1);
  expect(
    sampleOf(await hub.text('/metrics'), 'starferry_hub_store_damage_total{kind="file"}'),
  ).toBe(1);
  expect(JSON.parse(await hub.text('/api/v1/status')).store).toMatchObject({
    problem: null,
    damagedFiles: 1,
    lastDamage: { problem: expect.stringContaining('deleted') },
  });
  await hub.end();

  function rowsOf(table: string): number {
    if (!existsSync(join(hub.config.dataDir, 'hub.db'))) return 0;
    const db = new Database(join(hub.config.dataDir, 'hub.db'), { readonly: true });
    const rows = db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
    db.close();
    return rows;
  }
});
