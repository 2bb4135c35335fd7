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

/**
 * A body with rows of `columns`, in the order given.
 *
 * Floats and native histograms never share a TimeSeries: no receiver wants that, and Prometheus
 * would store all the floats before all the histograms, whatever their order.
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
  let holds: 'sample' | 'histogram' | undefined;
  for (const row of rows) {
    const id = ids[row]!;
    const object = objects.at(row);
    const kind = object?.kind ?? 'sample';
    const isMixed =
      kind === 'exemplar'
        ? holds === 'histogram' && !encoder.joinsExemplarsToHistograms
        : holds !== undefined && holds !== kind;
    if (id !== open || isMixed) {
      begin(id);
      open = id;
      holds = undefined;
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
