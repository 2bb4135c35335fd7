import { assert } from '../../base/assert.ts';
import { compareBySeries, labelSetString } from './compare.ts';
import { bitsOf, type DecodedExemplar, millisecondsOf } from './series-messages.ts';

const queryMsMax = 30_000;

/** One exemplar as it is compared. */
export interface ExemplarPoint {
  /** Milliseconds since the Unix epoch. */
  timestamp: number;
  /** Its labels and the bits of its value. */
  value: string;
}

/** Exemplars in the order in which they came, by canonical label set (`labelSetString`). */
export type ExemplarsBySeries = Map<string, ExemplarPoint[]>;

interface AnsweredExemplars {
  seriesLabels: Record<string, string>;
  exemplars: { labels: Record<string, string>; value: string; timestamp: number }[];
}

export function exemplarPoint(exemplar: DecodedExemplar): ExemplarPoint {
  const labels = exemplar.labels.map(({ name, value }) => [name, value] as const);
  const timestamp = millisecondsOf(exemplar.timestamp);
  return { timestamp, value: notation(labels, bitsOf(exemplar.value)) };
}

/** What differs, one line each, as `compareSamples` says it. */
export function compareExemplars(
  source: ExemplarsBySeries,
  destination: ExemplarsBySeries,
): string[] {
  return compareBySeries(source, destination, {
    noun: 'exemplar',
    equal: (a, b) => a.value === b.value,
    describe: ({ value }) => value,
  });
}

/**
 * Every exemplar that a Prometheus holds in [fromMs, toMs]. It answers with the shortest decimals
 * that read back as the same doubles, so their bits are known; but not those of a NaN.
 */
export async function readExemplars(
  url: string,
  fromMs: number,
  toMs: number,
): Promise<ExemplarsBySeries> {
  const query = new URLSearchParams({
    query: '{__name__!=""}',
    start: String(fromMs / 1000),
    end: String(toMs / 1000),
  });
  const response = await fetch(`${url}/api/v1/query_exemplars?${query}`, {
    signal: AbortSignal.timeout(queryMsMax),
  });
  const text = await response.text();
  assert(response.status === 200, `query_exemplars answered ${response.status}: ${text}`);
  const { data } = JSON.parse(text) as { data: AnsweredExemplars[] };
  return new Map(
    data.map(({ seriesLabels, exemplars }) => [
      labelSetString(Object.entries(seriesLabels)),
      exemplars.map(({ labels, value, timestamp }) => ({
        timestamp: Math.round(timestamp * 1000),
        value: notation(Object.entries(labels), doubleBits(Number(value))),
      })),
    ]),
  );
}

function notation(labels: Iterable<readonly [string, string]>, bits: bigint): string {
  return `${labelSetString(labels)} 0x${bits.toString(16).padStart(16, '0')}`;
}

function doubleBits(value: number): bigint {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setFloat64(0, value);
  return bytes.getBigUint64(0);
}
