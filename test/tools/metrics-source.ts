import { assert } from '../../base/assert.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { type Exporter, type Scraped, startExporter } from './exporter.ts';
import { seededRandom } from './seeded-random.ts';
import type { Workspace } from './workspace.ts';

/** How far behind the scrape the samples are that carry a timestamp of their own. */
export const ownTimestampLagMs = 400;

const counterCount = 120;
const gaugeCount = 120;
const histogramCount = 30;
const ownTimestampCount = 20;
const shortLivedCount = 20;
/** A short-lived series is there for so many scrapes, then gone for ever (a stale marker). */
const shortLivedScrapes = 4;
const bucketBounds = ['0.005', '0.01', '0.1', '0.5', '1', '2.5', '10', '+Inf'];

/** Values that a codec or a careless conversion would change. */
const oddValues: [name: string, value: number][] = [
  ['not_a_number', Number.NaN],
  ['infinite', Number.POSITIVE_INFINITY],
  ['minus_infinite', Number.NEGATIVE_INFINITY],
  ['minus_zero', -0],
  ['smallest_denormal', 5e-324],
  ['largest', Number.MAX_VALUE],
  ['beyond_2_53', 2 ** 53 + 2],
  ['seventeen_digits', 0.1 + 0.2],
  ['minus_tiny', -2.2250738585072014e-308],
];

/** Label values that a careless copy would change. */
const oddLabels = [
  '船は渡る',
  '星渡 ⛴',
  'ünïcödé',
  '\u0000nul',
  ' blank ',
  'quote " in',
  'a\\b',
  'a\nb',
];

/**
 * An exporter of about 550 series in this process. What it says depends on `seed` and on how often
 * it has been asked only; timestamps, where a series has its own, are those of `clock`.
 */
export function startMetricsSource(
  workspace: Workspace,
  seed: string,
  clock: Clock = systemClock,
): Promise<Exporter> {
  return startExporter(workspace, new Exposition(seededRandom(seed), clock));
}

/** Successive answers of a target in the text format 0.0.4. */
export class Exposition implements Scraped {
  readonly contentType = 'text/plain; version=0.0.4; charset=utf-8';
  scrapes = 0;
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #counters = new Float64Array(counterCount);
  readonly #buckets = new Float64Array(histogramCount * bucketBounds.length);
  readonly #sums = new Float64Array(histogramCount);

  constructor(random: Random, clock: Clock) {
    this.#random = random;
    this.#clock = clock;
  }

  next(): string {
    const lines = [
      ...this.#counterLines(),
      ...this.#gaugeLines(),
      ...this.#histogramLines(),
      ...this.#ownTimestampLines(),
      ...this.#shortLivedLines(),
      ...oddLines(),
    ];
    this.scrapes++;
    return `${lines.join('\n')}\n`;
  }

  /** Every third counter moves at a scrape; one in 50 is reset to zero. */
  #counterLines(): string[] {
    const lines = ['# TYPE source_events_total counter'];
    for (let index = 0; index < counterCount; index++) {
      const chance = this.#random.float();
      if (chance < 0.02) this.#counters[index] = 0;
      else if (chance < 0.33) this.#counters[index]! += Math.floor(chance * 10_000);
      lines.push(`source_events_total{shard="${index}"} ${this.#counters[index]}`);
    }
    return lines;
  }

  /** Integers, two decimals and full mantissas, a third each. */
  #gaugeLines(): string[] {
    const lines = ['# HELP source_level Levels of all kinds.', '# TYPE source_level gauge'];
    for (let index = 0; index < gaugeCount; index++) {
      const level = (this.#random.float() - 0.5) * 1000;
      const value =
        index % 3 === 0 ? Math.trunc(level) : index % 3 === 1 ? level.toFixed(2) : level;
      lines.push(`source_level{kind="${index % 3}",shard="${index}"} ${value}`);
    }
    return lines;
  }

  #histogramLines(): string[] {
    const lines = ['# TYPE source_duration_seconds histogram'];
    for (let index = 0; index < histogramCount; index++) {
      const seconds = this.#random.float() * 12;
      this.#sums[index]! += seconds;
      const labels = `handler="/api/v1/${index}"`;
      bucketBounds.forEach((bound, bucket) => {
        const at = index * bucketBounds.length + bucket;
        if (bound === '+Inf' || seconds <= Number(bound)) this.#buckets[at]!++;
        const count = this.#buckets[at];
        lines.push(`source_duration_seconds_bucket{${labels},le="${bound}"} ${count}`);
      });
      lines.push(`source_duration_seconds_sum{${labels}} ${this.#sums[index]}`);
      lines.push(`source_duration_seconds_count{${labels}} ${this.scrapes + 1}`);
    }
    return lines;
  }

  /** As cAdvisor does: such series end without a stale marker. */
  #ownTimestampLines(): string[] {
    const timestamp = this.#clock.now() - ownTimestampLagMs;
    const lines = ['# TYPE source_own_timestamp gauge'];
    for (let index = 0; index < ownTimestampCount; index++) {
      const value = this.#random.float();
      lines.push(`source_own_timestamp{container="${index}"} ${value} ${timestamp}`);
    }
    return lines;
  }

  #shortLivedLines(): string[] {
    const generation = Math.floor(this.scrapes / shortLivedScrapes);
    const lines = ['# TYPE source_short_lived gauge'];
    for (let index = 0; index < shortLivedCount; index++) {
      lines.push(`source_short_lived{generation="${generation}",shard="${index}"} ${this.scrapes}`);
    }
    return lines;
  }
}

function oddLines(): string[] {
  return [
    ...oddValues.map(([name, value]) => `source_odd_value{name="${name}"} ${exposedValue(value)}`),
    ...oddLabels.map((label, index) => `source_odd_label{label="${escaped(label)}"} ${index}`),
  ];
}

/** JavaScript prints the shortest decimal that reads back as the same double, but drops -0. */
function exposedValue(value: number): string {
  if (Object.is(value, -0)) return '-0';
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const text = String(value);
  assert(Object.is(Number(text), value), `${text} does not read back`);
  return text;
}

function escaped(label: string): string {
  return label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
