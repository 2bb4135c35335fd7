import type { SampleColumns } from '../../proto/sample-columns.ts';
import { labelBytes } from '../hub/series-fixture.ts';
import type { ExactSeries, ExactSeriesWithObjects } from '../tools/exact-remote-write.ts';
import type { SentSample } from './ledger.ts';

const SUM_TAG = 0x19;
const SCHEMA_TAG = 0x20;
const EXEMPLAR_VALUE_TAG = 0x11;
/** A counter of the simulation begins anew so often. */
const START_EVERY_MS = 600_000;
/** So the ledger keeps exemplars of a series apart from its samples. */
const EXEMPLARS = { name: 'exemplars', value: 'of the series' };
/** Cortex takes up to 128 characters of labels, and one label at least. */
const TRACE_ID = labelBytes({ trace_id: 'a1' });
const NO_LABELS = new Uint8Array(0);
const LONG_LABELS = labelBytes({ trace_id: 'a'.repeat(126) });

/** The bits of a sample as the sum of a canonical native histogram; layouts change now and then. */
function numberedHistogram({ low, high }: SentSample): Uint8Array {
  return Uint8Array.from([SUM_TAG, ...bytesOf(low), ...bytesOf(high), SCHEMA_TAG, (low >> 3) % 7]);
}

/** The bits of a sample as the value of a canonical exemplar. */
function numberedExemplar({ low, high, oddity }: SentSample): Uint8Array {
  const labels = oddity === undefined ? TRACE_ID : low % 2 === 0 ? NO_LABELS : LONG_LABELS;
  return Uint8Array.from([...labels, EXEMPLAR_VALUE_TAG, ...bytesOf(low), ...bytesOf(high)]);
}

/** The exemplars of a series, by its name in the ledger. */
export function exemplarsIn(name: string): string {
  return `${name.slice(0, -1)}, ${EXEMPLARS.name}=${JSON.stringify(EXEMPLARS.value)}}`;
}

export function isExemplarKey(key: string): boolean {
  return key.includes(`, ${EXEMPLARS.name}=`);
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
