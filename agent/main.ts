import { systemClock } from '../base/clock.ts';
import type { LoadedConfig } from '../base/config-file.ts';
import { type HttpServer, type Route, startHttpServer } from '../base/http-server.ts';
import { isLoopback } from '../base/listen-address.ts';
import { boundedLog, type Log } from '../base/log.ts';
import { adminRoutes, probeRoutes, reloadRoute } from '../base/status-routes.ts';
import { formatLabelSet } from '../proto/label-set.ts';
import { BufferWorker } from './buffer-worker.ts';
import type { AgentConfig } from './config.ts';
import { agentWarnings } from './config-warnings.ts';
import { discardRoutes } from './discard-route.ts';
import { changeEpochs } from './epoch-change.ts';
import { aheadMax } from './hub-clock.ts';
import { createIngest, type IngestMetrics } from './ingest/ingest.ts';
import { LiveConfig } from './live-config.ts';
import { SeriesTable, type SharedSeries } from './series/series-table.ts';
import { SeriesRules } from './series-rules.ts';
import { AgentMetrics } from './status/agent-metrics.ts';
import { agentStatus } from './status/agent-status.ts';

export interface RunningAgent {
  /** Where Prometheus reaches it. */
  url: string;
  /** Reads the configuration again; what is wrong with it is logged. */
  reload(): Promise<void>;
  /** Stops taking requests, ships what is left, and is over in `deadlineMs`; the rest stays on disk. */
  close(deadlineMs: number): Promise<void>;
}

/** Share of the time to stop: for the last requests to be given up and the buffer to be closed. */
const END_SHARE = 0.2;
const HEADER_TIMEOUT_MS = 10_000;
const CONNECTIONS_MAX = 1000;
const SHARED_LINES_PER_MINUTE = 10;

export interface AgentOptions {
  log: Log;
  /** Reads the configuration again for a reload. */
  load: () => LoadedConfig<AgentConfig>;
}

/** The agent: ingest ▶ filter ▶ series here, buffer ▶ encode ▶ ship on the worker. */
export async function runAgent(
  config: AgentConfig,
  { log, load }: AgentOptions,
): Promise<RunningAgent> {
  for (const warning of agentWarnings(config)) log.warn(warning);
  const metrics: AgentMetrics = new AgentMetrics(() => buffer.stats());
  const rules = new SeriesRules(config, (rule) => metrics.filteredSeries(rule));
  const series = createSeries(config, rules, log);
  const buffer = await startBuffer(config, series, log);
  let servers: HttpServer[] = [];
  const live = new LiveConfig(config, {
    load,
    onChange(changed) {
      rules.change(changed);
      series.changeGate(rules.gate, changed.limits.series);
      buffer.limitParked(changed.buffer.parkedBytesMax);
      for (const server of servers) server.setLimits(changed.ingest);
    },
    clock: systemClock,
    log,
  });
  metrics.watch({ series, config: live });
  const handle = createIngest({
    series,
    append: (batch) => buffer.append(batch),
    unavailable: () => buffer.unavailable,
    get senders() {
      return live.current.ingest.senders;
    },
    get limits() {
      const { ingest, limits } = live.current;
      const { aheadMaxMs, exemplarLabelLengthMax } = limits;
      const ahead = aheadMax(aheadMaxMs, buffer.hubClock);
      return { ...ingest, aheadMaxMs: ahead, exemplarLabelLengthMax };
    },
    metrics: countedBy(metrics, rules),
    log,
    clock: systemClock,
  });
  const status = agentStatus(config.agentId, metrics, {
    stats: () => buffer.stats(),
    isReady: () => buffer.unavailable === undefined,
  });
  const intake = ['/api/v1/write', '/api/v1/push'].map((path) => ({ method: '*', path, handle }));
  const admin = [
    ...adminRoutes(status),
    reloadRoute(async () => live.reload()),
    ...discardRoutes((request) => buffer.discard(request)),
  ];
  servers = await serve(config, { intake, probes: probeRoutes(status), admin }, log);
  const ending = new AbortController();
  const epochs = changeEpochs({ series, buffer, clock: systemClock, log }, ending.signal);
  log.info({ listen: servers[0]!.url, hubs: config.hub.urls }, 'the agent is ready');
  return {
    url: servers[0]!.url,
    reload: async () => void live.reload(),
    async close(deadlineMs) {
      const drainMs = deadlineMs * (1 - END_SHARE);
      const drainedByMs = systemClock.elapsedMs() + drainMs;
      ending.abort();
      await live.stop();
      await epochs;
      await Promise.all(servers.map((server) => server.close(drainMs)));
      await buffer.stop(Math.max(0, drainedByMs - systemClock.elapsedMs()));
      log.info('the agent has stopped');
    },
  };
}

/** Rules have numbers in ingest and names everywhere else. */
function countedBy(metrics: AgentMetrics, rules: SeriesRules): IngestMetrics {
  return {
    received: (what, bodyBytes) => metrics.received(what, bodyBytes),
    filtered: (rule, dropped) => metrics.filtered(rules.nameOf(rule), dropped),
    refused: (reason, samples) => metrics.refused(reason, samples),
    exemplarsLeftOut: (reason, exemplars) => metrics.exemplarsLeftOut(reason, exemplars),
    answered: (status) => metrics.answered(status),
  };
}

function reportShared(log: Log): (shared: SharedSeries) => void {
  const bounded = boundedLog(log, { perMinute: SHARED_LINES_PER_MINUTE }, systemClock);
  return ({ series, sets }) => {
    const fields = { series: formatLabelSet(series), from: sets.map((set) => formatLabelSet(set)) };
    const text =
      'two series have become one by the rules, and their samples interleave: keep a label';
    bounded.warn('shared', fields, text);
  };
}

function createSeries({ buffer, limits }: AgentConfig, rules: SeriesRules, log: Log): SeriesTable {
  return new SeriesTable({
    seriesMax: buffer.seriesMax,
    gate: rules.gate,
    limits: limits.series,
    onShared: reportShared(log),
  });
}

function startBuffer(config: AgentConfig, series: SeriesTable, log: Log): Promise<BufferWorker> {
  return BufferWorker.start(config, {
    onEntry: (entry, id) => series.restore(entry, id),
    onReset: () => series.reset(),
    onFailure: (error) => {
      log.fatal({ err: error }, 'the buffer’s worker has ended: the agent must be restarted');
      process.exit(1);
    },
  });
}

/** While `listen` is loopback, every route is served there. */
async function serve(
  { listen, adminListen, ingest }: AgentConfig,
  { intake, probes, admin }: Record<'intake' | 'probes' | 'admin', Route[]>,
  log: Log,
): Promise<HttpServer[]> {
  const limits = {
    log,
    headerTimeoutMs: HEADER_TIMEOUT_MS,
    requestTimeoutMs: ingest.requestTimeoutMs,
    connectionAgeMaxMs: ingest.connectionAgeMaxMs,
    connectionsMax: CONNECTIONS_MAX,
  };
  const open = [...intake, ...probes, ...(isLoopback(listen.host) ? admin : [])];
  const servers = [await startHttpServer({ ...limits, listen, routes: open })];
  if (adminListen !== undefined) {
    const routes = [...probes, ...admin];
    servers.push(await startHttpServer({ ...limits, listen: adminListen, routes }));
  }
  return servers;
}
