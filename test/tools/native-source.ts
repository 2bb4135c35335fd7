import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { type Clock, systemClock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { type Exporter, type Scraped, startExporter } from './exporter.ts';
import { bucketsOf, deltasOf } from './native-buckets.ts';
import { seededRandom } from './seeded-random.ts';
import type { Workspace } from './workspace.ts';

const definition = readFileSync(new URL('client-metrics.proto', import.meta.url), 'utf8');
const { root } = protobuf.parse(definition);
const MetricFamily = root.lookupType('io.prometheus.client.MetricFamily');

const metricTypes = { counter: 0, gauge: 1, histogram: 4, gaugeHistogram: 5 };
const schemas = [-4, -1, 0, 2, 3, 5, 8];
/** Between them an observation counts as zero. */
const zeroThreshold = 2 ** -12;
const observationsPerScrape = 12;
/** Every histogram begins anew after so many scrapes, each in its own rhythm. */
const scrapesPerResetMin = 6;
/** A short-lived histogram is there for so many scrapes, then gone (a stale marker). */
const shortLivedScrapes = 4;
/** What begins anew did so this long before the scrape that shows it. */
const createdLagMs = 100;
const classicBounds = [0.005, 0.05, 0.5, 2.5, 10, Number.POSITIVE_INFINITY];

interface Timestamp {
  seconds: number;
  nanos: number;
}

/** What a histogram has seen since it began. */
interface Observed {
  values: number[];
  created: Timestamp;
}

/**
 * An exporter in the protobuf format: native histograms of several schemas, with integer and with
 * float counts, of counters and of gauges, beside classic histograms, counters and gauges; all
 * with exemplars and created timestamps where the format has them. What it says depends on `seed`
 * and on how often it has been asked; timestamps are those of `clock`.
 */
export function startNativeSource(
  workspace: Workspace,
  seed: string,
  clock: Clock = systemClock,
): Promise<Exporter> {
  return startExporter(workspace, new NativeExposition(seededRandom(seed), clock));
}

/** Successive answers of a target in the delimited protobuf format. */
export class NativeExposition implements Scraped {
  readonly contentType =
    'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited';
  scrapes = 0;
  readonly #random: Random;
  readonly #clock: Clock;
  readonly #observed = new Map<string, Observed>();

  constructor(random: Random, clock: Clock) {
    this.#random = random;
    this.#clock = clock;
  }

  next(): Uint8Array {
    const families = [
      this.#counters(),
      this.#gauges(),
      this.#nativeHistograms(),
      this.#floatHistograms(),
      this.#gaugeHistograms(),
      this.#shortLivedHistograms(),
      this.#classicHistograms(),
    ];
    this.scrapes++;
    const encoded = families.map((family) => MetricFamily.encodeDelimited(family).finish());
    return Buffer.concat(encoded);
  }

  #counters(): object {
    const { values, created } = this.#observe('counter');
    const counter = {
      value: Math.ceil(sum(values.map(Math.abs))),
      exemplar: this.#exemplar(this.#random.float()),
      createdTimestamp: created,
    };
    const metric = [{ label: labels({ kind: 'all' }), counter }];
    const help = 'Events of all kinds.';
    return { name: 'native_events_total', help, type: metricTypes.counter, metric };
  }

  #gauges(): object {
    const metric = [{ label: labels({}), gauge: { value: (this.#random.float() - 0.5) * 1000 } }];
    const help = 'A level.';
    return { name: 'native_level_bytes', help, unit: 'bytes', type: metricTypes.gauge, metric };
  }

  /** One per schema and one whose schema changes as it goes; spans grow as values come in. */
  #nativeHistograms(): object {
    const fixed = schemas.map((schema) => {
      const histogram = this.#integerHistogram(this.#observe(`fixed ${schema}`, schema), schema);
      return { label: labels({ handler: `/${schema}` }), histogram };
    });
    const observed = this.#observe('changing');
    const schema = schemas[Math.trunc(observed.values.length / 30) % schemas.length]!;
    const changing = this.#integerHistogram(observed, schema);
    const metric = [...fixed, { label: labels({ handler: '/changing' }), histogram: changing }];
    const help = 'Durations.';
    return { name: 'native_seconds', help, unit: 'seconds', type: metricTypes.histogram, metric };
  }

  #floatHistograms(): object {
    const { values, created } = this.#observe('float');
    const histogram = { ...floatHistogram(values, 3), createdTimestamp: created };
    const metric = [{ label: labels({}), histogram }];
    return { name: 'native_float', help: 'Weighted.', type: metricTypes.histogram, metric };
  }

  /** Values come and go: its counts fall without a reset. */
  #gaugeHistograms(): object {
    const values = this.#draw();
    const metric = [
      { label: labels({ counts: 'integer' }), histogram: integerHistogram(values, 2) },
      { label: labels({ counts: 'float' }), histogram: floatHistogram(values, 2) },
    ];
    return { name: 'native_queue', help: 'Ages.', type: metricTypes.gaugeHistogram, metric };
  }

  #shortLivedHistograms(): object {
    const generation = String(Math.floor(this.scrapes / shortLivedScrapes));
    const observed = this.#observe(`generation ${generation}`);
    const histogram = this.#integerHistogram(observed, 1);
    const metric = [{ label: labels({ generation }), histogram }];
    return { name: 'native_short_lived', help: '', type: metricTypes.histogram, metric };
  }

  /** A scraper may turn it into a native histogram with custom buckets. */
  #classicHistograms(): object {
    const { values, created } = this.#observe('classic');
    const histogram = {
      sampleCount: values.length,
      sampleSum: sum(values),
      bucket: classicBounds.map((upperBound) => ({
        upperBound,
        cumulativeCount: values.filter((value) => value <= upperBound).length,
        exemplar: this.#exemplar(Math.min(upperBound, 20) * 0.9),
      })),
      createdTimestamp: created,
    };
    const metric = [{ label: labels({}), histogram }];
    return { name: 'classic_seconds', help: 'Classic.', type: metricTypes.histogram, metric };
  }

  #integerHistogram({ values, created }: Observed, schema: number): object {
    const exemplars = values.slice(-2).map((value) => this.#exemplar(value));
    return { ...integerHistogram(values, schema), createdTimestamp: created, exemplars };
  }

  /** The values of one histogram after this scrape's came to them. */
  #observe(name: string, rhythm = 0): Observed {
    const before = this.#observed.get(name);
    const lifetime = scrapesPerResetMin + Math.abs(rhythm);
    const resets = before === undefined || this.scrapes % lifetime === lifetime - 1;
    const observed = resets ? { values: [], created: this.#ago(createdLagMs) } : before;
    observed.values.push(...this.#draw());
    this.#observed.set(name, observed);
    return observed;
  }

  /** Magnitudes from 2^-16 to 2^8, so that some count as zero; every fourth is negative. */
  #draw(): number[] {
    return Array.from({ length: observationsPerScrape }, (_, at) => {
      const magnitude = 2 ** (this.#random.float() * 24 - 16);
      return at % 4 === 0 ? -magnitude : magnitude;
    });
  }

  #exemplar(value: number): object {
    const traceId = this.#random.id64().toString(16).padStart(16, '0');
    return { label: labels({ trace_id: traceId }), value, timestamp: this.#ago(0) };
  }

  #ago(lagMs: number): Timestamp {
    const milliseconds = this.#clock.now() - lagMs;
    const seconds = Math.trunc(milliseconds / 1000);
    return { seconds, nanos: Math.trunc((milliseconds - seconds * 1000) * 1e6) };
  }
}

function integerHistogram(values: readonly number[], schema: number): object {
  const { positive, negative, zeros } = split(values, schema);
  return {
    sampleCount: values.length,
    sampleSum: sum(values),
    schema,
    zeroThreshold,
    zeroCount: zeros,
    positiveSpan: positive.spans,
    positiveDelta: deltasOf(positive.counts),
    negativeSpan: negative.spans,
    negativeDelta: deltasOf(negative.counts),
  };
}

/** Every observation weighs a quarter more than one, so that counts have fractions. */
function floatHistogram(values: readonly number[], schema: number): object {
  const { positive, negative, zeros } = split(values, schema);
  const weigh = (count: number) => count * 1.25;
  return {
    sampleCountFloat: weigh(values.length),
    sampleSum: sum(values) * 1.25,
    schema,
    zeroThreshold,
    zeroCountFloat: weigh(zeros),
    positiveSpan: positive.spans,
    positiveCount: positive.counts.map(weigh),
    negativeSpan: negative.spans,
    negativeCount: negative.counts.map(weigh),
  };
}

function split(values: readonly number[], schema: number) {
  const positive = values.filter((value) => value > zeroThreshold);
  const negative = values.filter((value) => value < -zeroThreshold).map(Math.abs);
  return {
    positive: bucketsOf(positive, schema),
    negative: bucketsOf(negative, schema),
    zeros: values.length - positive.length - negative.length,
  };
}

function labels(pairs: Record<string, string>): object[] {
  return Object.entries(pairs).map(([name, value]) => ({ name, value }));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
