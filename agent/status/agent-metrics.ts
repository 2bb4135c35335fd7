import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { DESTINATION_STATES } from '../../proto/answer.ts';
import type { AgentStats } from './agent-stats.ts';
import { LINK_METRICS } from './link-metrics.ts';
import type { Reading, WorkerMetric } from './worker-metric.ts';

/** The agent's metrics, under the names that dashboards rely on. */
export class AgentMetrics {
  readonly registry = new Registry();
  readonly #received;
  readonly #receivedBytes;
  readonly #refused;
  readonly #filtered;
  readonly #filteredBytes;
  readonly #filteredSeries;
  readonly #requests;
  readonly #histograms;
  readonly #exemplars;
  readonly #exemplarsLeftOut;

  /** @param stats what the worker counts, asked for once at each scrape */
  constructor(stats: () => Promise<AgentStats>) {
    collectDefaultMetrics({ register: this.registry });
    this.#received = this.#counter('received_samples_total', 'Samples stored durably.');
    this.#receivedBytes = this.#counter(
      'received_bytes_total',
      'Bytes of the remote-write bodies whose samples were stored, as they came in.',
    );
    this.#refused = this.#counter(
      'refused_samples_total',
      'Samples refused at the door, by reason: the sender was told 400.',
      ['reason'],
    );
    this.#filtered = this.#counter(
      'filtered_samples_total',
      'Samples that filters have dropped, by rule.',
      ['reason'],
    );
    this.#filteredBytes = this.#counter(
      'filtered_bytes_total',
      'What labels and samples that filters have dropped take in remote write 1.0.',
      ['reason'],
    );
    this.#filteredSeries = this.#counter(
      'filtered_series_total',
      'Series that filters have dropped, by rule; after a change of the rules they count anew.',
      ['reason'],
    );
    this.#requests = this.#counter('requests_total', 'Remote-write requests, by answer.', ['code']);
    this.#histograms = this.#counter(
      'received_histograms_total',
      'Those of the received samples that are native histograms.',
    );
    this.#exemplars = this.#counter('received_exemplars_total', 'Exemplars stored durably.');
    this.#exemplarsLeftOut = this.#counter(
      'left_out_exemplars_total',
      'Exemplars not stored because destinations refuse such, by reason; their samples are.',
      ['reason'],
    );
    this.#addWorkerMetrics(stats);
  }

  received(what: Received, bodyBytes: number): void {
    this.#received.inc(what.samples);
    this.#histograms.inc(what.histograms);
    this.#exemplars.inc(what.exemplars);
    this.#receivedBytes.inc(bodyBytes);
  }

  /** @param rule its name in the configuration */
  filtered(rule: string, { samples, bytes }: { samples: number; bytes: number }): void {
    this.#filtered.inc({ reason: rule }, samples);
    this.#filteredBytes.inc({ reason: rule }, bytes);
  }

  filteredSeries(rule: string): void {
    this.#filteredSeries.inc({ reason: rule });
  }

  refused(reason: string, samples: number): void {
    this.#refused.inc({ reason }, samples);
  }

  exemplarsLeftOut(reason: string, exemplars: number): void {
    this.#exemplarsLeftOut.inc({ reason }, exemplars);
  }

  answered(status: number): void {
    this.#requests.inc({ code: String(status) });
  }

  /** Shows what the table and the configuration say of themselves. */
  watch({ series, config }: Watched): void {
    this.#gauge('shared_series', 'Series that several others have become, and interleave.', () => {
      return series.sharedCount;
    });
    this.#gauge('config_last_reload_successful', 'Whether the last reload succeeded.', () => {
      return config.isGood ? 1 : 0;
    });
    this.#gauge('config_last_reload_success_timestamp_seconds', 'Time of the last reload.', () => {
      return config.reloadedAtMs / 1000;
    });
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name: `starferry_agent_${name}`,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  #counter(name: string, help: string, labelNames: string[] = []) {
    const registers = [this.registry];
    return new Counter({ name: `starferry_agent_${name}`, help, labelNames, registers });
  }

  /** What the worker counts arrives as a whole and is shown as it stands. */
  #addWorkerMetrics(stats: () => Promise<AgentStats>): void {
    for (const { name, type, help, labelNames, read } of [...WORKER_METRICS, ...LINK_METRICS]) {
      const options = {
        name: `starferry_agent_${name}`,
        help,
        labelNames: labelNames ?? [],
        registers: [this.registry],
      };
      if (type === 'gauge') {
        new Gauge({
          ...options,
          async collect() {
            this.reset();
            // What is not known is absent: `reset` makes it 0 where there are no labels.
            if (labelNames === undefined) this.remove();
            for (const [labels, value] of read(await stats())) this.set(labels, value);
          },
        });
      } else {
        new Counter({
          ...options,
          async collect() {
            this.reset();
            for (const [labels, value] of read(await stats())) this.inc(labels, value);
          },
        });
      }
    }
  }
}

export interface Watched {
  series: { readonly sharedCount: number };
  config: { readonly isGood: boolean; readonly reloadedAtMs: number };
}

/** Of one request. */
export interface Received {
  samples: number;
  histograms: number;
  exemplars: number;
}

const WORKER_METRICS: WorkerMetric[] = [
  {
    name: 'acknowledged_samples_total',
    type: 'counter',
    help: 'Samples the destination has, redelivered ones included.',
    read: ({ ship }) => {
      const { accepted, redelivered } = ship.settled;
      return [[{}, accepted + redelivered + ship.resumed]];
    },
  },
  {
    name: 'deduplicated_samples_total',
    type: 'counter',
    help: 'Samples of a replica that the destination did not elect.',
    read: ({ ship }) => [[{}, ship.settled.deduplicated]],
  },
  {
    name: 'rejected_samples_total',
    type: 'counter',
    help: 'Samples the destination refused for good, by reason; unknown: stored or refused.',
    labelNames: ['reason'],
    read: ({ ship }) => [
      ...Array.from(ship.settled.refused, ([reason, count]): Reading => [{ reason }, count]),
      [{ reason: 'unknown' }, ship.settled.unknown],
    ],
  },
  {
    name: 'evicted_samples_total',
    type: 'counter',
    help: 'Samples that left the buffer undelivered, by reason, see docs/operations.md.',
    labelNames: ['reason'],
    read: ({ losses }) =>
      Object.entries(losses.samples).map(([reason, count]): Reading => [{ reason }, count]),
  },
  {
    name: 'vanished_segments_total',
    type: 'counter',
    help: 'Committed segments of which nothing was left in the database.',
    read: ({ losses }) => [[{}, losses.vanishedSegments]],
  },
  {
    name: 'salvages_total',
    type: 'counter',
    help: 'How often damaged files of the buffer were set aside.',
    read: ({ losses }) => [[{}, losses.salvages]],
  },
  {
    name: 'salvaged_samples_total',
    type: 'counter',
    help: 'Samples carried over from damaged files of the buffer; they wait again.',
    read: ({ losses }) => [[{}, losses.salvagedSamples]],
  },
  {
    name: 'buffer_samples',
    type: 'gauge',
    help: 'Samples that wait for an answer of the destination.',
    read: ({ backlog }) => [[{}, sum(backlog)]],
  },
  {
    name: 'buffer_packed_samples',
    type: 'gauge',
    help: 'Those of them that are packed: a tenth as large on disk.',
    read: ({ packedSamples }) => [[{}, packedSamples]],
  },
  {
    name: 'buffer_parked_samples',
    type: 'gauge',
    help: 'Those that are not sent: the destination would refuse them, or their time has not come.',
    read: ({ parkedSamples }) => [[{}, parkedSamples]],
  },
  {
    name: 'buffer_parked_bytes',
    type: 'gauge',
    help: 'What these take of the buffer, about; the limit is buffer.max_parked_bytes.',
    read: ({ parkedBytes }) => [[{}, parkedBytes]],
  },
  {
    name: 'buffer_bytes',
    type: 'gauge',
    help: 'Bytes in use of the buffer, dictionary included; the limit is buffer.max_bytes.',
    read: ({ bufferBytes }) => [[{}, bufferBytes]],
  },
  {
    name: 'buffer_oldest_timestamp_seconds',
    type: 'gauge',
    help: 'Timestamp of the oldest sample that waits; absent while nothing does.',
    read: ({ oldestTimestamp }) =>
      oldestTimestamp === undefined ? [] : [[{}, oldestTimestamp / 1000]],
  },
  {
    name: 'dictionary_entries',
    type: 'gauge',
    help: 'Series and metadata records in the dictionary log.',
    read: ({ dictionaryLength }) => [[{}, dictionaryLength]],
  },
  {
    name: 'link_bytes_total',
    type: 'counter',
    help: 'Bytes in TCP to and from the hub: HTTP and TLS included, headers of packets not.',
    labelNames: ['direction'],
    read: ({ linkBytes }) => bothWays(linkBytes),
  },
  {
    name: 'link_ip_bytes_total',
    type: 'counter',
    help: 'Estimate of the IP bytes of these, times link.overhead: what limits of the link go by.',
    labelNames: ['direction'],
    read: ({ linkIpBytes }) => bothWays(linkIpBytes),
  },
  {
    name: 'clock_offset_seconds',
    type: 'gauge',
    help: 'How far the clock of this machine is behind the hub’s; absent before the hub was heard.',
    read: ({ clock }) => (clock.aheadMs === undefined ? [] : [[{}, clock.aheadMs / 1000]]),
  },
  {
    name: 'clock_confirmed',
    type: 'gauge',
    help: 'Whether the hub’s clock confirms this machine’s: otherwise nothing is evicted for its age.',
    read: ({ clock }) => [[{}, clock.isConfirmed ? 1 : 0]],
  },
  {
    name: 'hub_destination_state',
    type: 'gauge',
    help: 'How the destination of the hub does: 1 for its state; absent before the hub has said.',
    labelNames: ['state'],
    read: ({ ship: { destination } }) =>
      destination === undefined
        ? []
        : DESTINATION_STATES.map((state): Reading => [{ state }, state === destination ? 1 : 0]),
  },
  {
    name: 'hub_replies_total',
    type: 'counter',
    help: 'Requests to the hub, by how they ended.',
    labelNames: ['kind'],
    read: ({ ship }) => counts(ship.replies, 'kind'),
  },
  {
    name: 'events_total',
    type: 'counter',
    help: 'Mismatches between agent and hub, by name: unknown stream, diverged, duplicate agent.',
    labelNames: ['event'],
    read: ({ ship }) => counts(ship.events, 'event'),
  },
];

function bothWays({ up, down }: { up: number; down: number }): Reading[] {
  return [
    [{ direction: 'up' }, up],
    [{ direction: 'down' }, down],
  ];
}

function sum(values: ReadonlyMap<string, number>): number {
  return values.values().reduce((total, value) => total + value, 0);
}

function counts(map: ReadonlyMap<string, number>, label: string): Reading[] {
  return Array.from(map, ([key, count]): Reading => [{ [label]: key }, count]);
}
