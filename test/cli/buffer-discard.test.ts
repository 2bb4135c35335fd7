import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { parseDiscardRequest } from '../../agent/discard-request.ts';
import { discardOffline, inUse } from '../../agent/offline-discard.ts';
import { Parking } from '../../agent/parking.ts';
import { TargetKeys } from '../../agent/target-keys.ts';
import { lockDataDir } from '../../base/sqlite/data-dir-lock.ts';
import {
  noise,
  openBuffer,
  openDatabase,
  samplesOf,
  seriesEntries,
  T0,
} from '../agent/buffer-fixture.ts';
import { type StarferryProcess, startAgentProcess, writeToken } from '../e2e/starferry.ts';
import { readMetric } from '../recovery/read-metric.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { starferryBuffer } from './buffer-fixture.ts';

const DISCARDED = 'starferry_agent_evicted_samples_total{reason="discarded"}';
const PARKED = 'starferry_agent_evicted_samples_total{reason="parked"}';
const PARKED_SEGMENTS = 40;

let workspace: Workspace;
let fresh = 0;

beforeAll(() => {
  workspace = new Workspace('buffer-discard');
});
afterAll(() => workspace.close());

/** `a` has seconds 0 to 9 and a minute of 1970 that is parked, the default tenant seconds 0 and 1. */
function fill(dataDir: string): void {
  const { buffer, clock } = openBuffer(dataDir, `fill ${dataDir}`);
  const seconds = Array.from({ length: 10 }, (_, at) => T0 + at * 1000);
  const newEntries = { firstId: 0, entries: seriesEntries('a') };
  buffer.append([{ tenant: '', columns: samplesOf(0, T0, T0 + 1000), newEntries }]);
  const window = { oldest: T0, newest: Number.POSITIVE_INFINITY };
  const deps = { buffer, targets: new TargetKeys(buffer), clock, log: memoryLog().log };
  const parking = new Parking(deps);
  for (let at = 0; at < PARKED_SEGMENTS; at++) {
    buffer.append([{ tenant: 'a', columns: samplesOf(0, 60_000 + at) }]);
    parking.parkSegments(buffer.read('a', 1000), window);
  }
  buffer.pin('a', undefined);
  buffer.append([{ tenant: 'a', columns: samplesOf(0, ...seconds) }]);
  buffer.housekeep();
  buffer.close();
}

function filled(): string {
  const dataDir = workspace.subfolder(`data-${fresh++}`);
  fill(dataDir);
  return dataDir;
}

const time = (second: number) => new Date(T0 + second * 1000).toISOString();
const flags = (from: string, to: string, ...more: string[]) => [
  '--tenant=a',
  `--from=${from}`,
  `--to=${to}`,
  ...more,
];
const samplesIn = async (dataDir: string, tenant: string) => {
  const { stdout } = await starferryBuffer('inspect', dataDir);
  return Number(new RegExp(`^${tenant} +\\d+ +\\d+ +(\\d+) `, 'm').exec(stdout)?.[1]);
};

/** An agent on what `fill` has stored; its hub is away. */
function startAgent(id: string, dataDir?: string): Promise<StarferryProcess> {
  return startAgentProcess(workspace, {
    id,
    tokenFile: writeToken(workspace, id),
    hubUrl: 'http://127.0.0.1:1',
    ...(dataDir === undefined ? {} : { settings: { data_dir: dataDir } }),
    prepare: ({ dataFolder }) => {
      if (dataDir === undefined) fill(dataFolder);
    },
  });
}

describe('in the folder of a stopped agent', () => {
  test('samples are counted, and discarded with --yes; the next agent counts them', async () => {
    const dataDir = filled();
    const counted = await starferryBuffer('discard', dataDir, ...flags(time(2), time(4)));
    expect([counted.code, counted.stderr]).toEqual([0, '']);
    expect(counted.stdout).toBe(
      `3 samples of tenant a, from ${time(2)} to ${time(4)}, would be discarded\n` +
        'nothing was changed: --yes discards them\n',
    );
    expect(await samplesIn(dataDir, 'a')).toBe(10 + PARKED_SEGMENTS);
    const discarded = await starferryBuffer(
      'discard',
      dataDir,
      ...flags(time(2), time(4), '--yes'),
    );
    expect(discarded.stdout).toBe(
      `3 samples of tenant a, from ${time(2)} to ${time(4)}, were discarded, which the agent counts\n`,
    );
    expect(discarded.code).toBe(0);
    const parked = await starferryBuffer(
      'discard',
      dataDir,
      ...flags('60', '60.009', '--parked', '--yes'),
    );
    expect(parked.stdout).toMatch(/^10 parked samples of tenant a, from 1970-01-01T00:01:00.000Z /);
    const again = await starferryBuffer('discard', dataDir, ...flags(time(2), time(4), '--yes'));
    expect(again.stdout).toBe('0 samples of tenant a were discarded, which the agent counts\n');
    expect(await samplesIn(dataDir, 'a')).toBe(7 + PARKED_SEGMENTS - 10);
    expect(await samplesIn(dataDir, '@default')).toBe(2);
    expect((await starferryBuffer('verify', dataDir)).code).toBe(0);

    const agent = await startAgent('next', dataDir);
    await until('what was discarded to be counted', 5000, async () => {
      return (await readMetric(agent.url, DISCARDED)) === 13;
    });
    const vanished = 'starferry_agent_evicted_samples_total{reason="vanished"}';
    expect(await readMetric(agent.url, vanished)).toBe(0);
    await agent.process.stop();
  });

  test.each([
    ['without a tenant', [undefined, '1', '2'], '--tenant=NAME is required; @default: '],
    ['without a beginning', ['a', undefined, '2'], '--from=TIME is required'],
    ['without an end', ['a', '1', undefined], '--to=TIME is required'],
    ['by a time of day', ['a', '1', 'noon'], '--to=noon: expected RFC 3339 or Unix seconds'],
    ['backwards', ['a', '2', '1'], '--from=2 is later than --to=1'],
  ])('none are discarded %s', (_, [tenant, from, to], message) => {
    const kind = { isParked: false, isDryRun: false };
    const request = parseDiscardRequest({ tenant, from, to }, kind, (name) => `--${name}`);
    expect(request).toContain(message);
  });

  test('that is damaged nothing is changed', async () => {
    const dataDir = filled();
    const database = openDatabase(dataDir);
    database.exec("UPDATE parked_packs SET body = x'00' WHERE key = 3");
    database.close();
    const { code, stderr } = await starferryBuffer(
      'discard',
      dataDir,
      ...flags('0', '1e9', '--yes'),
    );
    expect(code).toBe(2);
    const damaged = await starferryBuffer('discard', dataDir, ...flags('0', '100', '--yes'));
    expect(damaged.code).toBe(1);
    expect(damaged.stderr).toContain(
      'the buffer is damaged, and nothing was changed: start the agent',
    );
    expect(stderr).toContain('--to=1e9');
    const left = openDatabase(dataDir);
    expect(left.prepare('SELECT count(*) AS n FROM parked_packs').get()).toEqual({ n: 40 });
    left.close();
  });

  test('that somebody uses nothing is looked at, be it damaged or not', async () => {
    const dataDir = filled();
    const database = openDatabase(dataDir);
    database.exec("UPDATE parked_packs SET body = x'00' WHERE key = 3");
    database.close();
    const lock = lockDataDir(dataDir, 'agent');
    const { code, stderr } = await starferryBuffer('discard', dataDir, ...flags('0', '1'));
    lock.release();
    expect([code, stderr]).toEqual([1, `${inUse(dataDir)}\n`]);
  });

  test('it is free for others afterwards', async () => {
    const dataDir = filled();
    const request = { tenant: 'a', fromMs: T0, toMs: T0, isParked: false, isDryRun: false };
    expect(await discardOffline(dataDir, request)).toMatchObject({ samples: 1 });
    expect(await discardOffline(dataDir, request)).toMatchObject({ samples: 0 });
    const lock = lockDataDir(dataDir, 'agent');
    expect(await discardOffline(dataDir, request)).toBe(inUse(dataDir));
    lock.release();
  });

  test('there has to be a buffer', async () => {
    const folder = workspace.subfolder('empty');
    const { code, stderr } = await starferryBuffer('discard', folder, ...flags('0', '1'));
    expect([code, stderr]).toEqual([1, `${folder}: no buffer.db here\n`]);
  });
});

describe('of a running agent', () => {
  let agent: StarferryProcess;
  beforeAll(async () => {
    agent = await startAgent('running');
  });
  afterAll(() => agent.process.stop());

  test('the folder is left alone, and the URL asked for', async () => {
    const { code, stderr } = await starferryBuffer(
      'discard',
      agent.dataFolder,
      ...flags('0', '100', '--yes', '--parked'),
    );
    expect(code).toBe(1);
    expect(stderr).toContain('an agent is running on it: give its URL instead of the folder');
    expect(await samplesIn(agent.dataFolder, 'a')).toBe(10 + PARKED_SEGMENTS);
  });

  test('samples are discarded over its admin address, counted and said', async () => {
    const url = `${agent.url}/`;
    const range = flags(time(2), time(4));
    const counted = await starferryBuffer('discard', url, ...range);
    expect(counted.stdout).toMatch(/^3 samples of tenant a, .* would be discarded\nnothing was/);
    expect(await readMetric(agent.url, DISCARDED)).toBe(0);
    const discarded = await starferryBuffer('discard', url, ...range, '--yes');
    expect(discarded.stdout).toMatch(/^3 samples of tenant a, .* were discarded/);
    expect(await readMetric(agent.url, DISCARDED)).toBe(3);
    const parked = await starferryBuffer(
      'discard',
      url,
      ...flags('60', '60.009', '--parked', '--yes'),
    );
    expect([parked.code, parked.stdout]).toEqual([
      0,
      expect.stringMatching(/^10 parked samples of/),
    ]);
    expect(await readMetric(agent.url, DISCARDED)).toBe(13);
    const status = await (await fetch(`${agent.url}/api/v1/status`)).json();
    expect(status).toMatchObject({
      parkedSamples: PARKED_SEGMENTS - 10,
      lost: { samples: { discarded: 13, parked: 0 } },
      waitingSamples: { a: 7 + PARKED_SEGMENTS - 10, '': 2 },
    });
  });

  test.each([
    ['tenant=a&from=1', 'to=TIME is required'],
    ['tenant=a&from=1&to=2&until=3', 'until: there is no such parameter'],
    ['tenant=a&tenant=b&from=1&to=2', 'tenant is there twice'],
    ['tenant=a&from=1&to=2&parked=yes', 'parked=yes: expected true or false'],
  ])('a request that cannot be read is refused: %s', async (query, problem) => {
    const address = `${agent.url}/api/v1/buffer/discard?${query}`;
    const answer = await fetch(address, { method: 'POST' });
    expect([answer.status, await answer.json()]).toEqual([400, { problem }]);
  });

  test('a web page discards nothing', async () => {
    const address = `${agent.url}/api/v1/buffer/discard?tenant=@default&from=0&to=9999999999`;
    const headers = { Origin: 'http://elsewhere.example' };
    expect((await fetch(address, { method: 'POST', headers })).status).toBe(403);
    expect(await samplesIn(agent.dataFolder, '@default')).toBe(2);
  });
});

test('a reload that lowers max_parked_bytes has the oldest parked samples evicted', async () => {
  const dataDir = workspace.subfolder('to-reload');
  const { buffer, clock } = openBuffer(dataDir, 'to reload');
  const deps = { buffer, targets: new TargetKeys(buffer), clock, log: memoryLog().log };
  const newEntries = { firstId: 0, entries: seriesEntries('a') };
  buffer.append([{ tenant: 'a', columns: noise(20_000, '0'), newEntries }]);
  for (let at = 1; at < 10; at++) {
    buffer.append([{ tenant: 'a', columns: noise(20_000, String(at)) }]);
  }
  const window = { oldest: T0 + 1, newest: Number.POSITIVE_INFINITY };
  new Parking(deps).parkSegments(buffer.read('a', 1e6), window);
  buffer.housekeep();
  const before = buffer.parkedSamples;
  expect(before).toBe(200_000);
  expect(buffer.parkedBytes).toBeGreaterThan(1.2 * 2 ** 20);
  buffer.close();

  const agent = await startAgent('reloaded', dataDir);
  const configFile = join(agent.folder, 'agent.yml');
  const settings = parse(readFileSync(configFile, 'utf8'));
  expect(await readMetric(agent.url, PARKED)).toBe(0);
  writeFileSync(configFile, stringify({ ...settings, buffer: { max_parked_bytes: '1MiB' } }));
  const reloaded = await fetch(`${agent.url}/-/reload`, { method: 'POST' });
  expect(await reloaded.text()).toBe('reloaded\n');
  await until('parked samples to be evicted', 5000, async () => {
    return (await readMetric(agent.url, PARKED)) > 0;
  });
  expect(await readMetric(agent.url, 'starferry_agent_buffer_parked_bytes')).toBeLessThan(2 ** 20);
  const left = await readMetric(agent.url, 'starferry_agent_buffer_parked_samples');
  expect(left).toBeGreaterThan(0);
  expect(left + (await readMetric(agent.url, PARKED))).toBe(before);
  await agent.process.stop();
});

describe('at a URL that is no agent', () => {
  test.each([
    [404, 'no such path', 'answers 404, and not as an agent of this version does'],
    [200, '<html>', 'answers 200, and not as an agent of this version does'],
  ])('which answers %s %s: that is said', async (status, text, message) => {
    const server = createServer((_request, response) => response.writeHead(status).end(text));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, stderr } = await starferryBuffer('discard', url, ...flags('0', '1', '--yes'));
    server.close();
    expect(code).toBe(1);
    expect(stderr).toContain(`${url} ${message}`);
  });

  test('or where nobody listens', async () => {
    const url = 'http://127.0.0.1:1';
    const { code, stderr } = await starferryBuffer('discard', url, ...flags('0', '1', '--yes'));
    expect(code).toBe(1);
    expect(stderr).toContain(`${url}: no answer: `);
  });
});
