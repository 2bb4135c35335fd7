import { labelBytes } from '../hub/series-fixture.ts';
import type { AgentMachine } from './agent-machine.ts';
import type { Chance } from './chance.ts';
import { type Ledger, notationOf, type SentSample, type Series } from './ledger.ts';
import { exemplarsIn } from './numbered-objects.ts';
import { STARTS_AT_MS, type Surroundings } from './surroundings.ts';

const SERIES_MAX = 30;
/** The clusters of HA pairs; so many series later they come again. */
export const CLUSTERS = ['east', 'west'] as const;
const CLUSTERS_EVERY = 4;
/** Exemplars are of the series before. */
const KINDS = ['float', 'mixed', 'float', 'exemplar', 'float'] as const;
const RETRY_MS_MAX = 4000;
const ANSWER_MS_MAX = 200;

/**
 * A Prometheus in front of one agent, for one tenant: writes samples of its series in order, and
 * writes what is not acknowledged again until it is.
 */
export class Sender {
  readonly #surroundings: Surroundings;
  readonly #chance: Chance;
  readonly #ledger: Ledger;
  readonly #machine: AgentMachine;
  readonly #tenant: string;
  readonly #series: Series[] = [];

  constructor(surroundings: Surroundings, ledger: Ledger, machine: AgentMachine, tenant: string) {
    this.#surroundings = surroundings;
    this.#chance = surroundings.chance.part(`sender ${machine.name} ${tenant}`);
    this.#ledger = ledger;
    this.#machine = machine;
    this.#tenant = tenant;
  }

  /** Writes until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { time, plan } = this.#surroundings;
    while (!signal.aborted) {
      await time.sleep(this.#chance.between(0, 2 * plan.sendEveryMs), signal);
      const samples = this.#compose();
      while (!signal.aborted && !(await this.#write(samples))) {
        await time.sleep(this.#chance.between(100, RETRY_MS_MAX), signal);
      }
    }
  }

  /** Whether the request was answered for good: what is not refused is acknowledged. */
  async #write(written: readonly SentSample[]): Promise<boolean> {
    const { process } = this.#machine;
    if (process === undefined) return false;
    const result = await process.append(written);
    if (result.kind !== 'stored') return false;
    // The answer is under way: the agent may crash before it has left.
    await this.#surroundings.time.sleep(this.#chance.between(0, ANSWER_MS_MAX));
    if (process.isDead) return false;
    this.#ledger.refused.push(...result.refused);
    this.#ledger.acknowledge(this.#machine.name, result.samples);
    return true;
  }

  /** A few samples of some of the series; now and then one that nobody has seen before. */
  #compose(): SentSample[] {
    const nowMs = Math.round(STARTS_AT_MS + this.#surroundings.time.elapsedMs);
    while (this.#series.length < 2 || (this.#series.length < SERIES_MAX && this.#chance.maybe(0.3)))
      this.#series.push(this.#newSeries());
    const samples: SentSample[] = [];
    for (const series of this.#series) {
      if (samples.length > 0 && this.#chance.maybe(0.5)) continue;
      const count = this.#chance.whole(1, 2);
      for (let left = count; left > 0; left--) samples.push(this.#ledger.next(series, nowMs));
    }
    return samples;
  }

  /** Tenants have series of the same name: what comes to the wrong tenant must be noticed. */
  #newSeries(): Series {
    const index = this.#series.length;
    const kind = KINDS[index % KINDS.length]!;
    const host = this.#series.at(-1);
    if (kind === 'exemplar' && host !== undefined) {
      return { ...host, kind, name: exemplarsIn(host.name) };
    }
    const cluster = this.#clusterOf(index);
    const labels = {
      __name__: `metric_${index}`,
      ...(cluster === undefined ? {} : { __replica__: 'a', cluster }),
      instance: this.#machine.name,
      job: `job_${index % 3}`,
    };
    const { __replica__: _, ...stored } = labels;
    const name = notationOf(stored);
    return { tenant: this.#tenant, name, labels: labelBytes(labels), kind, cluster };
  }

  #clusterOf(index: number): string | undefined {
    const { clusters } = this.#surroundings.plan.odd;
    const number = index % CLUSTERS_EVERY;
    return clusters && number < CLUSTERS.length ? CLUSTERS[number] : undefined;
  }
}
