import { assert } from '../../base/assert.ts';
import { wholeObject } from '../objects/histogram.ts';
import { ObjectCursor, type RowObject, type SampleColumns } from '../sample-columns.ts';
import type { WriteEncoder } from './write-encoder.ts';

/** Field `count_float` of a Histogram, the first one of a canonical histogram of floats. */
const COUNT_FLOAT_TAG = 0x11;

/**
 * Prometheus, and so Cortex, commits what one request holds of a series by rank: floats, then
 * histograms of integers, then those of floats. A sample that is older than what went before it is
 * dropped without a word. So a series must not fall in rank within a request.
 */
export function storageRank(object: RowObject | undefined): 0 | 1 | 2 {
  if (object === undefined) return 0;
  return object.bytes[0] === COUNT_FLOAT_TAG ? 2 : 1;
}

export type RowKind = 'sample' | RowObject['kind'];

/**
 * Whether a row of `kind` may stand in a TimeSeries of its series that holds rows of kind `holds`.
 *
 * Floats and native histograms never share one: no receiver wants that, and Prometheus would store
 * all the floats before all the histograms, whatever their order.
 */
export function mayShareSeries(encoder: WriteEncoder, kind: RowKind, holds: RowKind): boolean {
  if (kind === holds) return true;
  return encoder.joinsExemplars && (kind === 'exemplar' || holds === 'exemplar');
}

/**
 * A body with rows of `columns`, in the order given.
 *
 * @param begin begins a TimeSeries of a series by its id
 */
export function encodeRows(
  encoder: WriteEncoder,
  columns: SampleColumns,
  rows: Uint32Array,
  begin: (id: number) => void,
): Uint8Array {
  const { ids, timestamps, valueBits } = columns;
  assert(rows.length > 0, 'an empty request');
  const objects = new ObjectCursor(columns.objects);
  let open = -1;
  let holds: RowKind = 'exemplar';
  for (const row of rows) {
    const id = ids[row]!;
    const object = objects.at(row);
    const kind = object?.kind ?? 'sample';
    if (id !== open || !mayShareSeries(encoder, kind, holds)) {
      begin(id);
      open = id;
      holds = kind;
    }
    if (kind !== 'exemplar') holds = kind;
    const timestamp = timestamps[row]!;
    const start = columns.startOf(row);
    if (object === undefined) {
      encoder.sample(timestamp, valueBits[row * 2]!, valueBits[row * 2 + 1]!, start);
    } else if (object.kind === 'histogram') {
      encoder.histogram(timestamp, wholeObject(object), start);
    } else {
      encoder.exemplar(timestamp, wholeObject(object));
    }
  }
  return encoder.finish();
}
