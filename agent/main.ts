import { systemClock } from '../base/clock.ts';
import { type HttpServer, type Route, startHttpServer } from '../base/http-server.ts';
import { isLoopback } from '../base/listen-address.ts';
import type { Log } from '../base/log.ts';
import { adminRoutes, probeRoutes } from '../base/status-routes.ts';
import { BufferWorker } from './buffer-worker.ts';
import type { AgentConfig } from './config.ts';
import { agentWarnings } from './config-warnings.ts';
import { changeEpochs } from './epoch-change.ts';
import { createIngest } from './ingest/ingest.ts';
import { SeriesTable } from './series/series-table.ts';
import { AgentMetrics } from './status/agent-metrics.ts';
import { agentStatus } from './status/agent-status.ts';

export interface RunningAgent {
  /** Where Prometheus reaches it. */
  url: string;
  /** Stops taking requests, ships what is left for up to `deadlineMs`; the rest stays on disk. */
  close(deadlineMs: number): Promise<void>;
}

const HEADER_TIMEOUT_MS = 10_000;
const CONNECTIONS_MAX = 1000;

/** The agent: ingest ▶ series here, buffer ▶ encode ▶ ship on the worker. */
export async function runAgent(config: AgentConfig, { log }: { log: Log }): Promise<RunningAgent> {
  for (const warning of agentWarnings(config)) log.warn(warning);
  const series = new SeriesTable({ seriesMax: config.buffer.seriesMax });
  const buffer = await BufferWorker.start(config, {
    onEntry: (entry, id) => series.restore(entry, id),
    onReset: () => series.reset(),
    onFailure: (error) => {
      log.fatal({ err: error }, 'the buffer’s worker has ended: the agent must be restarted');
      process.exit(1);
    },
  });
  const metrics = new AgentMetrics(() => buffer.stats());
  const handle = createIngest({
    series,
    append: (batch) => buffer.append(batch),
    unavailable: () => buffer.unavailable,
    senders: config.ingest.senders,
    limits: config.ingest,
    metrics,
    log,
    clock: systemClock,
  });
  const status = agentStatus(config.agentId, metrics, {
    stats: () => buffer.stats(),
    isReady: () => buffer.unavailable === undefined,
  });
  const isPrivate = isLoopback(config.listen.host);
  const servers = await serve(
    config,
    [
      { method: '*', path: '/api/v1/write', handle },
      { method: '*', path: '/api/v1/push', handle },
      ...probeRoutes(status),
      ...(isPrivate ? adminRoutes(status) : []),
    ],
    [...probeRoutes(status), ...adminRoutes(status)],
    log,
  );
  const ending = new AbortController();
  const epochs = changeEpochs({ series, buffer, clock: systemClock, log }, ending.signal);
  log.info({ listen: servers[0]!.url, hubs: config.hub.urls }, 'the agent is ready');
  return {
    url: servers[0]!.url,
    async close(deadlineMs) {
      const closeByMs = systemClock.now() + deadlineMs;
      ending.abort();
      await epochs;
      await Promise.all(servers.map((server) => server.close(deadlineMs)));
      await buffer.stop(Math.max(0, closeByMs - systemClock.now()));
      log.info('the agent has stopped');
    },
  };
}

async function serve(
  { listen, adminListen, ingest }: AgentConfig,
  routes: Route[],
  adminOnly: Route[],
  log: Log,
): Promise<HttpServer[]> {
  const limits = {
    log,
    headerTimeoutMs: HEADER_TIMEOUT_MS,
    requestTimeoutMs: ingest.requestTimeoutMs,
    connectionAgeMaxMs: ingest.connectionAgeMaxMs,
    connectionsMax: CONNECTIONS_MAX,
  };
  const servers = [await startHttpServer({ ...limits, listen, routes })];
  if (adminListen !== undefined) {
    servers.push(await startHttpServer({ ...limits, listen: adminListen, routes: adminOnly }));
  }
  return servers;
}
