import { assert } from '../base/assert.ts';
import { wholeObject } from './objects/histogram.ts';
import { ObjectCursor, type SampleColumns } from './sample-columns.ts';
import type { WriteEncoder } from './write-encoder.ts';

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
    const isMixed = kind !== 'exemplar' && holds !== undefined && holds !== kind;
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
