import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type AgentConfig, loadAgentConfig } from '../../agent/config.ts';
import { LiveConfig } from '../../agent/live-config.ts';

let folder: string;
let live: LiveConfig;
/** What was in force one after the other: the label that is dropped, and the list. */
let changes: string[];
/** Sleeping watches of files. */
let sleeping: Set<() => void>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'starferry-live-'));
  changes = [];
  sleeping = new Set();
  writeList('a');
  writeConfig('first');
  const loaded = load();
  if (loaded.kind === 'errors') throw new Error(loaded.lines.join());
  live = new LiveConfig(loaded.value, {
    load,
    onChange: (config) => changes.push(textOf(config)),
    clock: { now: () => 0, elapsedMs: () => 0, sleep },
    log: pino({ level: 'silent' }),
  });
});
afterEach(async () => {
  await live.stop();
  rmSync(folder, { recursive: true });
});

function load() {
  return loadAgentConfig(join(folder, 'a.yml'), { hostName: 'a', inKubernetes: false });
}

function writeConfig(label: string, hub = 'http://127.0.0.1:1'): void {
  const lines = [`hub: {urls: ['${hub}']}`, 'drop_metrics_file: list', `drop_labels: [${label}]`];
  writeFileSync(join(folder, 'a.yml'), lines.join('\n'));
}

function writeList(...entries: string[]): void {
  writeFileSync(join(folder, 'list.new'), entries.join('\n'));
  renameSync(join(folder, 'list.new'), join(folder, 'list'));
}

function textOf({ filter }: AgentConfig): string {
  return [...filter.dropLabels, ...(filter.dropMetricsFile?.entries ?? [])].join(' ');
}

function sleep(_ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      sleeping.delete(wake);
      resolve();
    };
    sleeping.add(wake);
    signal?.addEventListener('abort', wake);
  });
}

async function lookAtFiles(): Promise<void> {
  for (const wake of [...sleeping]) wake();
  await new Promise((resolve) => setImmediate(resolve));
}

test('of two reloads at once the second one is in force, and one watch looks at files', async () => {
  writeConfig('second');
  const one = live.reload();
  writeConfig('third');
  expect([one, live.reload()]).toEqual([{ kind: 'reloaded' }, { kind: 'reloaded' }]);
  await lookAtFiles();
  expect(sleeping.size).toBe(1);
  writeList('b');
  await lookAtFiles();
  expect(changes).toEqual(['second a', 'third a', 'third b']);
});

test('a reload while the agent stops changes nothing and watches nothing', async () => {
  await live.stop();
  writeConfig('second');
  const lines = ['the agent is stopping'];
  expect(live.reload()).toEqual({ kind: 'failed', lines });
  expect(changes).toEqual([]);
  expect(sleeping.size).toBe(0);
});

test('with a mistake in the file nothing changes and its lists are still looked at', async () => {
  writeConfig('second', 'nonsense');
  expect(live.reload()).toMatchObject({ kind: 'failed' });
  expect(live.isGood).toBe(false);
  writeList('b');
  await lookAtFiles();
  expect(changes).toEqual(['first b']);
});

test('limits of a batch wait for a restart, and the rest of the file does not', () => {
  const before = live.current.batch;
  writeConfig('second');
  appendFileSync(join(folder, 'a.yml'), '\nbatch: {max_delay: {min: 1s, max: 1m}}\n');
  expect(live.reload()).toEqual({ kind: 'reloaded' });
  expect(changes).toEqual(['second a']);
  expect(live.current.batch).toEqual(before);
});
