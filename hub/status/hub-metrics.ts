import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Clock } from '../../base/clock.ts';
import type { Settlement } from '../../proto/settlement.ts';
import type { RefusedTotal } from '../refused-request.ts';

/** What the hub knows of one agent besides its data. */
interface Heard {
  /** Hub's clock minus agent's clock, in ms, at the last word of the agent. */
  clockOffsetMs: number;
  /** Timestamp of the newest sample the destination has taken or deduplicated. */
  newestTimestamp: number | undefined;
  atMs: number;
}

/** What is read at each scrape. */
export interface HubGauges {
  /** Bytes of decoded batches that wait for the destination. */
  heldBytes(): number;
  /** What the record of refused samples holds. */
  refused(): RefusedTotal[];
}

/** The hub's metrics, under the names that dashboards rely on, and what /api/v1/status shows. */
export class HubMetrics {
  readonly registry = new Registry();
  readonly agents = new Map<string, Heard>();
  readonly #clock: Clock;
  readonly #written;
  readonly #rejected;
  readonly #redelivered;
  readonly #events;
  readonly #requests;
  readonly #misconfigured;
  readonly #refusedDropped;

  constructor(clock: Clock, gauges: HubGauges) {
    this.#clock = clock;
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
      'Samples the destination refused for good, by reason; doubtful: probably stored.',
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
    this.#addGauges(gauges);
    this.#addLag();
    this.#addClockOffset();
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

  #addLag(): void {
    const { agents } = this;
    const clock = this.#clock;
    new Gauge({
      name: 'starferry_hub_agent_lag_seconds',
      help: 'Now, in the agent’s clock, minus its newest sample answered for; grows in silence.',
      labelNames: ['agent'],
      registers: [this.registry],
      collect() {
        for (const [agent, { newestTimestamp, clockOffsetMs }] of agents) {
          if (newestTimestamp === undefined) continue;
          this.set({ agent }, (clock.now() - clockOffsetMs - newestTimestamp) / 1000);
        }
      },
    });
  }

  #addClockOffset(): void {
    const { agents } = this;
    new Gauge({
      name: 'starferry_hub_agent_clock_offset_seconds',
      help: 'How far the clock of an agent is behind the hub’s; samples of its machine may be as wrong.',
      labelNames: ['agent'],
      registers: [this.registry],
      collect() {
        for (const [agent, { clockOffsetMs }] of agents) this.set({ agent }, clockOffsetMs / 1000);
      },
    });
  }

  /** A batch or heartbeat of `agent` has arrived; its clock is so far behind ours. */
  heard(agent: string, clockOffsetMs: number): void {
    const newestTimestamp = this.agents.get(agent)?.newestTimestamp;
    this.agents.set(agent, { clockOffsetMs, newestTimestamp, atMs: this.#clock.now() });
  }

  /** @param newestMs of what the destination has taken or deduplicated; -∞: nothing */
  settled(agent: string, settlement: Settlement, newestMs: number): void {
    const { accepted, deduplicated, redelivered, doubtful, refused } = settlement;
    this.#written.inc({ agent }, accepted + deduplicated);
    if (redelivered > 0) this.#redelivered.inc({ agent }, redelivered);
    if (doubtful > 0) this.#rejected.inc({ agent, reason: 'doubtful' }, doubtful);
    for (const [reason, count] of refused) this.#rejected.inc({ agent, reason }, count);
    const heard = this.agents.get(agent);
    if (heard !== undefined && newestMs > (heard.newestTimestamp ?? Number.NEGATIVE_INFINITY)) {
      heard.newestTimestamp = newestMs;
    }
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

  heldByMisconfiguration(change: 1 | -1): void {
    this.#misconfigured.inc(change);
  }
}
