import type { SampleColumns } from '../../proto/sample-columns.ts';
import {
  type ExactSeries,
  type ExactSeriesWithObjects,
  labelNotation,
} from '../tools/exact-remote-write.ts';
import type { SentSample } from './ledger.ts';

const SUM_TAG = 0x19;
const SCHEMA_TAG = 0x20;
const EXEMPLAR_VALUE_TAG = 0x11;
/** A counter of the simulation begins anew so often. */
const START_EVERY_MS = 600_000;
/** So the ledger keeps exemplars of a series apart from its samples. */
const EXEMPLARS = { name: 'exemplars', value: 'of the series' };

/** The bits of a sample as the sum of a canonical native histogram; layouts change now and then. */
function numberedHistogram({ low, high }: SentSample): Uint8Array {
  return Uint8Array.from([SUM_TAG, ...bytesOf(low), ...bytesOf(high), SCHEMA_TAG, (low >> 3) % 7]);
}

/** The bits of a sample as the value of a canonical exemplar. */
function numberedExemplar({ low, high }: SentSample): Uint8Array {
  return Uint8Array.from([EXEMPLAR_VALUE_TAG, ...bytesOf(low), ...bytesOf(high)]);
}

/** How the exemplars of a series are known to the ledger. */
export function exemplarsOf(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).map(([name, value]) => ({ name, value }));
  return labelNotation([...pairs, EXEMPLARS]);
}

/** A body as floats alone, under the names of the ledger, in the order in which it is stored. */
export function asSamples(body: readonly ExactSeriesWithObjects[]): ExactSeries[] {
  return body.flatMap(({ labels, samples, histograms, exemplars }) => [
    { labels, samples: [...samples, ...histograms] },
    { labels: [...labels, EXEMPLARS], samples: exemplars },
  ]);
}

function bytesOf(half: number): number[] {
  return [half, half >>> 8, half >>> 16, half >>> 24].map((byte) => byte & 0xff);
}

/** Whether a sample of a mixed series is a histogram follows from its number. */
export function pushSample(columns: SampleColumns, id: number, sample: SentSample): void {
  const { series, timestamp, low, high } = sample;
  if (series.kind === 'exemplar') {
    columns.pushObject('exemplar', id, timestamp, numberedExemplar(sample));
    return;
  }
  if (series.kind === 'mixed' && low % 3 > 0) {
    columns.pushObject('histogram', id, timestamp, numberedHistogram(sample));
  } else {
    columns.push(id, timestamp, low, high);
  }
  if (series.kind === 'mixed')
    columns.setStart(columns.count - 1, timestamp - (timestamp % START_EVERY_MS));
}
