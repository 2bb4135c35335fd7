import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Settlement } from '../../proto/settlement.ts';
import type { AgentHeard, TenantLag } from '../agent-lag.ts';
import type { RefusedTotal } from '../refused-request.ts';

/** What is read at each scrape. */
export interface HubGauges {
  /** Bytes of decoded batches that wait for the destination. */
  heldBytes(): number;
  /** What the record of refused samples holds. */
  refused(): RefusedTotal[];
  /** Of every agent of the configuration, heard or not. */
  agents(): { id: string; heard: AgentHeard | undefined }[];
  lags(): Iterable<TenantLag & { seconds: number }>;
  /** The hub's database. */
  store(): StoreState;
}

/** What is wrong with the hub's database, and what was since the start. */
export interface StoreState {
  /** What to do, while it cannot be used. */
  problem: string | undefined;
  damagedFiles: number;
  damagedRows: number;
  lastDamage: { problem: string; keptIn: string | undefined; atMs: number } | undefined;
}

/** The hub's metrics, under the names that dashboards rely on, and what /api/v1/status shows. */
export class HubMetrics {
  readonly registry = new Registry();
  readonly #written;
  readonly #rejected;
  readonly #redelivered;
  readonly #events;
  readonly #requests;
  readonly #misconfigured;
  readonly #refusedDropped;
  readonly #refusedCredentials;

  constructor(gauges: HubGauges) {
    const { registry } = this;
    collectDefaultMetrics({ register: registry });
    const counter = (name: string, help: string, labelNames: string[]) =>
      new Counter({ name, help, labelNames, registers: [registry] });
    this.#written = counter(
      'starferry_hub_written_samples_total',
      'Samples the destination has stored, or had stored already.',
      ['agent'],
    );
    this.#rejected = counter(
      'starferry_hub_rejected_samples_total',
      'Samples the destination refused for good, by reason; unknown: stored or refused.',
      ['agent', 'reason'],
    );
    this.#redelivered = counter(
      'starferry_hub_redelivered_samples_total',
      'Samples that came or were written again after an answer was lost; no loss.',
      ['agent'],
    );
    this.#events = counter(
      'starferry_hub_events_total',
      'Batches that did not fit the state, by reason: duplicate agent, diverged, gap, ...',
      ['agent', 'event'],
    );
    this.#requests = counter(
      'starferry_hub_destination_requests_total',
      'Requests to the destination, by status code, or timeout or network.',
      ['code'],
    );
    this.#misconfigured = new Gauge({
      name: 'starferry_hub_destination_misconfigured_requests',
      help: 'Requests that wait until somebody changes a configuration; should be 0.',
      registers: [registry],
    });
    this.#refusedDropped = counter(
      'starferry_hub_refused_records_dropped_total',
      'Records of refused samples that are no longer kept: age, bytes; or never were: disk.',
      ['reason'],
    );
    this.#refusedCredentials = counter(
      'starferry_hub_refused_credentials_total',
      'Requests that prove to come from no agent, by what is wrong with their credentials.',
      ['reason'],
    );
    this.#addGauges(gauges);
    this.#addLag(gauges);
    this.#addAgents(gauges);
    this.#addStore(gauges);
  }

  #addGauges({ heldBytes, refused }: HubGauges): void {
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name,
        help,
        registers: [this.registry],
        collect() {
          this.set(read());
        },
      });
    const total = (key: 'records' | 'bytes') =>
      refused().reduce((sum, { [key]: value }) => sum + value, 0);
    gauge('starferry_hub_held_bytes', 'Decoded batches that wait for the destination.', heldBytes);
    gauge('starferry_hub_refused_records', 'Requests that were refused and are kept.', () =>
      total('records'),
    );
    gauge('starferry_hub_refused_record_bytes', 'What the kept records take.', () =>
      total('bytes'),
    );
  }

  #addLag({ lags }: HubGauges): void {
    new Gauge({
      name: 'starferry_hub_agent_lag_seconds',
      help:
        'Now, in the agent’s clock, minus the newest sample of a tenant that was delivered, or ' +
        'minus when its first one was offered; grows in silence.',
      labelNames: ['agent', 'tenant'],
      registers: [this.registry],
      collect() {
        for (const { agent, tenant, seconds } of lags()) this.set({ agent, tenant }, seconds);
      },
    });
  }

  #addAgents({ agents }: HubGauges): void {
    const gauge = (
      name: string,
      help: string,
      read: (heard: AgentHeard | undefined) => number | undefined,
    ) =>
      new Gauge({
        name,
        help,
        labelNames: ['agent'],
        registers: [this.registry],
        collect() {
          for (const { id, heard } of agents()) {
            const value = read(heard);
            if (value !== undefined) this.set({ agent: id }, value);
          }
        },
      });
    gauge(
      'starferry_hub_agent_last_heard_timestamp_seconds',
      'When an agent of the configuration was heard last; 0: never.',
      (heard) => (heard?.atMs ?? 0) / 1000,
    );
    gauge(
      'starferry_hub_agent_clock_offset_seconds',
      'How far the clock of an agent is behind the hub’s; samples of its machine may be as wrong. ' +
        'Absent before the agent was heard.',
      (heard) => heard && heard.clockOffsetMs / 1000,
    );
  }

  #addStore({ store }: HubGauges): void {
    new Counter({
      name: 'starferry_hub_store_damage_total',
      help: 'Files of hub.db, and rows in it, that were damaged and set aside.',
      labelNames: ['kind'],
      registers: [this.registry],
      collect() {
        const { damagedFiles, damagedRows } = store();
        this.reset();
        this.inc({ kind: 'file' }, damagedFiles);
        this.inc({ kind: 'row' }, damagedRows);
      },
    });
    new Gauge({
      name: 'starferry_hub_store_unavailable',
      help: '1 while hub.db cannot be used: agents with new series are put off.',
      registers: [this.registry],
      collect() {
        this.set(store().problem === undefined ? 0 : 1);
      },
    });
  }

  settled(agent: string, settlement: Settlement): void {
    const { accepted, deduplicated, redelivered, unknown, refused } = settlement;
    this.#written.inc({ agent }, accepted + deduplicated);
    if (redelivered > 0) this.#redelivered.inc({ agent }, redelivered);
    if (unknown > 0) this.#rejected.inc({ agent, reason: 'unknown' }, unknown);
    for (const [reason, count] of refused) this.#rejected.inc({ agent, reason }, count);
  }

  event(agent: string, event: string): void {
    this.#events.inc({ agent, event });
  }

  request(code: string): void {
    this.#requests.inc({ code });
  }

  refusedDropped(reason: string, records: number): void {
    this.#refusedDropped.inc({ reason }, records);
  }

  refusedCredentials(reason: string): void {
    this.#refusedCredentials.inc({ reason });
  }

  heldByMisconfiguration(change: 1 | -1): void {
    this.#misconfigured.inc(change);
  }
}
