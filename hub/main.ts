import { systemClock } from '../base/clock.ts';
import { type HttpServer, startHttpServer } from '../base/http-server.ts';
import { isLoopback } from '../base/listen-address.ts';
import { type BoundedLog, boundedLog, type Log } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { adminRoutes, probeRoutes } from '../base/status-routes.ts';
import { version } from '../base/version.ts';
import { AgeLimits } from './age-limits.ts';
import { AgentLag } from './agent-lag.ts';
import { Agents, type Authentication } from './agents.ts';
import type { HubConfig } from './config.ts';
import { DestinationHealth } from './destination-health.ts';
import { DictionaryCopy } from './expand/dictionary-copy.ts';
import type { ReceiveMetrics } from './receive/contracts.ts';
import { Receiver } from './receive/receiver.ts';
import { receiveRoutes } from './receive/routes.ts';
import { RefusedRecord } from './refused/refused-record.ts';
import { sharedTenantWarnings } from './shared-tenants.ts';
import { type HubGauges, HubMetrics } from './status/hub-metrics.ts';
import { hubStatus } from './status/hub-status.ts';
import { HubStore } from './store/hub-store.ts';
import { openRefusedStore, setDamagedAside } from './store/refused-store.ts';
import { StoreUnavailable } from './store-unavailable.ts';
import { Destination } from './write/destination.ts';
import { MetadataSender } from './write/metadata-sender.ts';
import { RefusalSearch } from './write/refusal-search.ts';
import { ReplicaCover } from './write/replica-cover.ts';
import { RequestBodies } from './write/request-bodies.ts';
import { SetAside } from './write/set-aside.ts';
import { createWriter } from './writer.ts';

export interface RunningHub {
  /** Where agents reach it. */
  url: string;
  /** Stops taking batches, lets what is being written settle, and is over in `deadlineMs`. */
  close(deadlineMs: number): Promise<void>;
}

/** Share of the time to stop: for the last requests to be given up and the stores to be closed. */
const END_SHARE = 0.2;
const SAVE_EVERY_MS = 1000;
const HEADER_TIMEOUT_MS = 10_000;
/** An agent whose link is limited lets a large batch trickle; one that has gone falls silent. */
const BODY_TIMEOUT_MS = 3_600_000;
const BODY_SILENCE_MS = 60_000;
const CONNECTION_AGE_MAX_MS = 3_600_000;
const CONNECTIONS_MAX = 10_000;
const LOG_LINES_PER_MINUTE = 10;

/** The hub: receive ▶ expand ▶ write. */
export async function runHub(config: HubConfig, { log }: { log: Log }): Promise<RunningHub> {
  const clock = systemClock;
  const random = systemRandom;
  const { destination: to } = config;
  const lines = boundedLog(log, { perMinute: LOG_LINES_PER_MINUTE }, clock);
  const ending = new AbortController();
  const store = new HubStore(config.dataDir, random, { clock, log: lines });
  const lag = new AgentLag(config.agents, { store, clock });
  const destination = new Destination({ ...withoutUndefined(to), version });
  const gauges: HubGauges = {
    heldBytes: () => receiver.heldBytes,
    refused: () => refused.totals(),
    agents: () => config.agents.map(({ id }) => ({ id, heard: lag.agent(id) })),
    lags: () => lag.lags(),
    store: () => store.state,
  };
  const metrics = new HubMetrics(gauges);
  const refused = openRecord(config, metrics, lines);
  const ages = new AgeLimits(to, { store, clock, log: lines });
  const health = new DestinationHealth(to.kind, clock);
  const delivery = {
    kind: to.kind,
    post: health.watch(destination.post),
    bodies: new RequestBodies(to.protocol),
    setAside: new SetAside(to.setAsideAfterMs, clock),
    search: new RefusalSearch(to.refusalSearchPerMinute, clock),
    replicas: new ReplicaCover(to.outOfOrderTimeWindowMs, clock),
    refused,
    ages,
    clock,
    random,
    metrics,
    log: lines,
  };
  const separateReplicas = to.kind === 'cortex' || to.kind === 'mimir';
  const receiver: Receiver<DictionaryCopy> = new Receiver<DictionaryCopy>({
    store,
    createCopy: () =>
      new DictionaryCopy({ clusterLabel: to.haClusterLabel, replicaLabel: to.haReplicaLabel }),
    createWriter: (agent, tenant, named) =>
      createWriter(
        { agent, tenant, named },
        { lanes: to.lanes, samplesPerRequestMax: to.samplesPerRequestMax, separateReplicas },
        delivery,
        ending.signal,
      ),
    ages,
    destinationState: (tenants) => health.of(tenants),
    limits: { ...config.limits, aheadMaxMs: to.sampleAheadMaxMs },
    metrics: reports(metrics, lag),
    clock,
    random,
    log: lines,
  });
  store.onBegunAnew(() => {
    receiver.storeLost();
    ages.saveAll();
    lag.saveAll();
  });
  const { kind, url, protocol } = to;
  const metadata = new MetadataSender({ kind, post: destination.post, clock, log: lines });
  const servers = await serve(config, receiver, { metrics, gauges, lines }, log);
  const loops = Promise.all([
    saveLazily([receiver, ages, lag], store, ending.signal),
    refused.run(ending.signal),
    metadata.run(() => receiver.metadata(), ending.signal),
  ]);
  for (const warning of sharedTenantWarnings(config)) log.warn(warning);
  log.info({ listen: servers[0]!.url, destination: url, kind, protocol }, 'the hub is ready');
  return {
    url: servers[0]!.url,
    async close(deadlineMs) {
      receiver.close();
      const drainMs = deadlineMs * (1 - END_SHARE);
      const cut = setTimeout(() => ending.abort(), drainMs);
      await Promise.all(servers.map((server) => server.close(drainMs)));
      clearTimeout(cut);
      ending.abort();
      await loops;
      await destination.close();
      await refused.close();
      store.close();
      log.info('the hub has stopped');
    },
  };
}

function openRecord(config: HubConfig, metrics: HubMetrics, log: BoundedLog): RefusedRecord {
  const { dataDir, refused } = config;
  return new RefusedRecord({
    open: () => openRefusedStore(dataDir, refused.bytesMax),
    failed: (error) => setDamagedAside(dataDir, error),
    ageMaxMs: refused.ageMaxMs,
    dropped: (reason, records) => metrics.refusedDropped(reason, records),
    clock: systemClock,
    log,
  });
}

async function serve(
  config: HubConfig,
  receiver: Receiver<DictionaryCopy>,
  { metrics, gauges, lines }: { metrics: HubMetrics; gauges: HubGauges; lines: BoundedLog },
  log: Log,
): Promise<HttpServer[]> {
  const agents = new Agents(config.agents);
  const border = receiveRoutes(receiver, {
    authenticate: (authorization, address) => {
      const result = agents.authenticate(authorization);
      if (result.kind === 'known') return result.agent;
      noteRefused(result, address, { metrics, lines });
      return undefined;
    },
    batchBytesMax: config.limits.batchBytesMax,
    requestTimeoutMs: BODY_TIMEOUT_MS,
    silenceMs: BODY_SILENCE_MS,
  });
  const status = hubStatus(metrics, gauges, config);
  const limits = {
    log,
    headerTimeoutMs: HEADER_TIMEOUT_MS,
    requestTimeoutMs: BODY_TIMEOUT_MS,
    connectionAgeMaxMs: CONNECTION_AGE_MAX_MS,
    connectionsMax: CONNECTIONS_MAX,
  };
  const isPrivate = isLoopback(config.listen.host);
  const routes = [...border, ...probeRoutes(status), ...(isPrivate ? adminRoutes(status) : [])];
  const { listen, tls, adminListen } = config;
  const servers = [await startHttpServer({ ...limits, listen, tls, routes, lean: true })];
  if (adminListen !== undefined) {
    const admin = [...probeRoutes(status), ...adminRoutes(status)];
    servers.push(await startHttpServer({ ...limits, listen: adminListen, routes: admin }));
  }
  return servers;
}

/** Counts and logs a request that proves to come from no agent; its token is nobody's business. */
function noteRefused(
  { fault, agent }: Extract<Authentication, { kind: 'refused' }>,
  address: string,
  { metrics, lines }: { metrics: HubMetrics; lines: BoundedLog },
): void {
  metrics.refusedCredentials(fault);
  lines.warn(
    `credentials ${fault}`,
    { reason: fault, address, ...(agent === undefined ? {} : { agent }) },
    'refused a request that proves to come from no agent: compare agent_id and token with agents',
  );
}

/** What receiving reports, for the counters and for the lag of tenants. */
function reports(metrics: HubMetrics, lag: AgentLag): ReceiveMetrics {
  return {
    heard: (agent, clockOffsetMs) => lag.heard(agent, clockOffsetMs),
    offered: (agent, tenant) => lag.offered(agent, tenant),
    settled(agent, settlement, newestMs, tenant) {
      metrics.settled(agent, settlement);
      lag.delivered(agent, tenant, newestMs);
    },
    event: (agent, name) => metrics.event(agent, name),
  };
}

/** Redelivery is harmless to the data: a disk that takes no positions must not stop the hub. */
async function saveLazily(
  parts: readonly { save(): void }[],
  store: HubStore,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await systemClock.sleep(SAVE_EVERY_MS, signal);
    for (const part of parts) save(part);
    store.tidy();
  }
}

/** The store has said what is wrong when it cannot be used. */
function save(part: { save(): void }): void {
  try {
    part.save();
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
  }
}

function withoutUndefined({ authorization, ...rest }: HubConfig['destination']) {
  return { ...rest, ...(authorization === undefined ? {} : { authorization }) };
}
