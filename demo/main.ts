import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runAgent } from '../agent/main.ts';
import { systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { runHub } from '../hub/main.ts';
import { checked, writeAgentConfig, writeHubConfig } from './config.ts';
import { reportProgress } from './progress.ts';
import { scrapeSelf } from './self-scrape.ts';
import { startStore } from './store/server.ts';

export interface DemoOptions {
  /** Where the hub writes to; the embedded destination when absent. */
  destinationUrl?: string | undefined;
  /** Made when it is missing; a later demo continues with what is in it. */
  dataDir: string;
  log: Log;
  ports?: { agent: number; hub: number; store: number };
  print?: (line: string) => void;
}

interface Part {
  close(deadlineMs: number): Promise<void>;
}

const PORTS = { agent: 9201, hub: 9202, store: 9009 };

/**
 * Agent, hub and, without `destinationUrl`, a destination in one process, fed with their own
 * metrics. Rejects with a readable message when a port is taken; nothing is left running then.
 */
export async function runDemo(options: DemoOptions): Promise<Part> {
  const parts: Part[] = [];
  try {
    await start(options, parts);
  } catch (error) {
    await closeAll(parts, 0);
    throw explained(error);
  }
  return { close: (deadlineMs) => closeAll(parts, deadlineMs) };
}

/** Adds each part to `parts` as soon as it runs. */
async function start(options: DemoOptions, parts: Part[]): Promise<void> {
  const { dataDir, log, ports = PORTS, print = console.log } = options;
  mkdirSync(dataDir, { recursive: true });
  let { destinationUrl } = options;
  let storeUrl: string | undefined;
  if (destinationUrl === undefined) {
    const file = join(dataDir, 'store.db');
    const store = await startStore({ file, port: ports.store, clock: systemClock, log });
    parts.push(store);
    storeUrl = store.url;
    destinationUrl = `${store.url}/api/v1/push`;
  }
  const hub = await runHub(writeHubConfig(dataDir, ports.hub, destinationUrl), { log });
  parts.push(hub);
  const load = writeAgentConfig(dataDir, ports.agent, hub.url);
  const agent = await runAgent(checked(load()), { log, load });
  parts.push(agent);
  const urls = { agentUrl: agent.url, hubUrl: hub.url };
  print(welcome({ ...urls, destinationUrl, storeUrl, dataDir }));
  const targets = [
    { job: 'starferry-agent', url: agent.url },
    { job: 'starferry-hub', url: hub.url },
  ];
  const common = { ...urls, clock: systemClock, log, print };
  parts.push(
    loop((signal) => scrapeSelf({ ...common, targets }, signal)),
    loop((signal) => reportProgress(common, signal)),
  );
}

function loop(run: (signal: AbortSignal) => Promise<void>): Part {
  const ending = new AbortController();
  const running = run(ending.signal);
  return {
    close() {
      ending.abort();
      return running;
    },
  };
}

/** The last started is closed first, so that what is left flows on; each gets half of the time. */
async function closeAll(parts: Part[], deadlineMs: number): Promise<void> {
  const closeByMs = systemClock.elapsedMs() + deadlineMs;
  for (const part of parts.toReversed()) {
    await part.close(Math.max(0, closeByMs - systemClock.elapsedMs()) / 2);
  }
}

function explained(error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error);
  if (!message.includes('EADDRINUSE')) return error instanceof Error ? error : new Error(message);
  const { agent, hub, store } = PORTS;
  return new Error(
    `${message}\nThe demo needs the ports ${agent}, ${hub} and ${store}. Perhaps another demo is ` +
      'running? `ss -ltnp` shows what listens where; stop it and start again.',
  );
}

function welcome(urls: {
  agentUrl: string;
  hubUrl: string;
  destinationUrl: string;
  storeUrl: string | undefined;
  dataDir: string;
}): string {
  const { agentUrl, hubUrl, destinationUrl, storeUrl, dataDir } = urls;
  const query = '/api/v1/query?query=starferry_agent_received_samples_total';
  const hints = [
    `  Grafana: add ${storeUrl} as a Prometheus data source (plain selectors only).`,
    `  Or: curl '${storeUrl}${query}'`,
  ];
  return [
    '',
    `  agent        ${agentUrl}  takes remote writes`,
    `  hub          ${hubUrl}  writes into the destination`,
    `  destination  ${destinationUrl}`,
    `  data         ${dataDir}`,
    '',
    '  To carry the samples of a Prometheus on this machine, paste into its prometheus.yml:',
    '',
    'remote_write:',
    `  - url: ${agentUrl}/api/v1/write`,
    '',
    ...(storeUrl === undefined ? [] : hints),
    '  Meanwhile the agent and the hub carry their own metrics. Ctrl-C stops everything.',
    '',
  ].join('\n');
}
