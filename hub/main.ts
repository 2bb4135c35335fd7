import { systemClock } from '../base/clock.ts';
import { type HttpServer, startHttpServer } from '../base/http-server.ts';
import { isLoopback } from '../base/listen-address.ts';
import { type BoundedLog, boundedLog, type Log } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { adminRoutes, probeRoutes } from '../base/status-routes.ts';
import { version } from '../base/version.ts';
import { AgeLimits } from './age-limits.ts';
import { Agents } from './agents.ts';
import type { HubConfig } from './config.ts';
import { DictionaryCopy } from './expand/dictionary-copy.ts';
import { Receiver } from './receive/receiver.ts';
import { receiveRoutes } from './receive/routes.ts';
import { RefusedRecord } from './refused/refused-record.ts';
import { sharedTenantWarnings } from './shared-tenants.ts';
import { type HubGauges, HubMetrics } from './status/hub-metrics.ts';
import { hubStatus } from './status/hub-status.ts';
import { HubStore } from './store/hub-store.ts';
import { openRefusedStore, setDamagedAside } from './store/refused-store.ts';
import { Destination } from './write/destination.ts';
import { MetadataSender } from './write/metadata-sender.ts';
import { ReplicaCover } from './write/replica-cover.ts';
import { RequestBodies } from './write/request-bodies.ts';
import { SetAside } from './write/set-aside.ts';
import { createWriter } from './writer.ts';

export interface RunningHub {
  /** Where agents reach it. */
  url: string;
  /** Stops taking batches and gives what is being written up to `deadlineMs` to settle. */
  close(deadlineMs: number): Promise<void>;
}

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
  const store = new HubStore(config.dataDir, random);
  const destination = new Destination({ ...withoutUndefined(to), version });
  const gauges: HubGauges = {
    heldBytes: () => receiver.heldBytes,
    refused: () => refused.totals(),
  };
  const metrics = new HubMetrics(clock, gauges);
  const refused = openRecord(config, metrics, lines);
  const ages = new AgeLimits(to, { store, clock, log: lines });
  const delivery = {
    kind: to.kind,
    post: destination.post,
    bodies: new RequestBodies(to.protocol),
    setAside: new SetAside(to.setAsideAfterMs, clock),
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
    limits: { ...config.limits, aheadMaxMs: to.sampleAheadMaxMs },
    metrics,
    clock,
    random,
    log: lines,
  });
  const { kind, url, protocol } = to;
  const metadata = new MetadataSender({ kind, post: destination.post, clock, log: lines });
  const servers = await serve(config, receiver, { metrics, gauges }, log);
  const loops = Promise.all([
    saveLazily([receiver, ages], lines, ending.signal),
    refused.run(ending.signal),
    metadata.run(() => receiver.metadata(), ending.signal),
  ]);
  for (const warning of sharedTenantWarnings(config)) log.warn(warning);
  log.info({ listen: servers[0]!.url, destination: url, kind, protocol }, 'the hub is ready');
  return {
    url: servers[0]!.url,
    async close(deadlineMs) {
      receiver.close();
      const cut = setTimeout(() => ending.abort(), deadlineMs);
      await Promise.all(servers.map((server) => server.close(deadlineMs)));
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
  { metrics, gauges }: { metrics: HubMetrics; gauges: HubGauges },
  log: Log,
): Promise<HttpServer[]> {
  const agents = new Agents(config.agents);
  const border = receiveRoutes(receiver, {
    authenticate: (authorization) => agents.authenticate(authorization),
    batchBytesMax: config.limits.batchBytesMax,
    requestTimeoutMs: BODY_TIMEOUT_MS,
    silenceMs: BODY_SILENCE_MS,
    metrics,
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

/** Redelivery is harmless to the data: a disk that takes no positions must not stop the hub. */
async function saveLazily(
  parts: readonly { save(): void }[],
  log: BoundedLog,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await systemClock.sleep(SAVE_EVERY_MS, signal);
    try {
      for (const part of parts) part.save();
    } catch (error) {
      log.error('positions', { err: error }, 'cannot write to hub.db: check the disk');
    }
  }
}

function withoutUndefined({ authorization, ...rest }: HubConfig['destination']) {
  return { ...rest, ...(authorization === undefined ? {} : { authorization }) };
}
