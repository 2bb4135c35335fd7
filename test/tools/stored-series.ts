import { compareSamples, type SamplesBySeries } from './compare.ts';
import { readCustomBuckets } from './custom-buckets.ts';
import { compareExemplars, type ExemplarsBySeries, readExemplars } from './exemplars.ts';
import { compareHistograms, type HistogramsBySeries } from './histograms.ts';
import { everySeries, readAllSeries } from './remote-read.ts';

/** Everything a Prometheus stores of some span of time. */
export interface Stored {
  samples: SamplesBySeries;
  histograms: HistogramsBySeries;
  exemplars: ExemplarsBySeries;
  /** The histograms with custom buckets again: `readCustomBuckets` says why. */
  customBuckets: HistogramsBySeries;
}

/** Reads all with a timestamp in [fromMs, toMs] from a Prometheus 3. */
export async function readStored(url: string, fromMs: number, toMs: number): Promise<Stored> {
  const { samples, histograms } = await readAllSeries(url, everySeries, fromMs, toMs);
  const exemplars = await readExemplars(url, fromMs, toMs);
  const metrics = customMetrics(histograms);
  const customBuckets = await readCustomBuckets(url, metrics, fromMs, toMs);
  return { samples, histograms, exemplars, customBuckets };
}

/** How many samples, histograms and exemplars. */
export function storedCount({ samples, histograms, exemplars }: Omit<Stored, 'customBuckets'>) {
  let count = 0;
  for (const bySeries of [samples, histograms, exemplars]) {
    for (const points of bySeries.values()) count += points.length;
  }
  return count;
}

/** What differs, one line each; empty when both hold the same, bit for bit and in order. */
export function compareStored(source: Stored, destination: Stored): string[] {
  return [
    ...compareSamples(source.samples, destination.samples),
    ...compareHistograms(source.histograms, destination.histograms),
    ...compareExemplars(source.exemplars, destination.exemplars),
    ...compareHistograms(source.customBuckets, destination.customBuckets),
  ];
}

/** Names of the metrics that have custom buckets. */
function customMetrics(histograms: HistogramsBySeries): Set<string> {
  const names = new Set<string>();
  for (const [series, points] of histograms) {
    const name = /__name__="([^"]+)"/.exec(series)?.[1];
    const isCustom = points.some(({ value }) => value.startsWith('schema -53,'));
    if (isCustom && name !== undefined) names.add(name);
  }
  return names;
}
