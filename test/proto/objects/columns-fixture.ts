import { wholeObject } from '../../../proto/objects/histogram.ts';
import type { SampleColumns } from '../../../proto/sample-columns.ts';

/** A canonical histogram: schema, one span and its deltas, a count. */
export function histogramBytes(schema: number, offset: number, count: number): Uint8Array {
  const span = [0x5a, 4, 0x08, offset * 2, 0x10, 1];
  return Uint8Array.from([0x08, count, 0x20, schema * 2, ...span, 0x62, 1, count * 2]);
}

/** A canonical exemplar: {trace_id="<id>"} and the value 0. */
export function exemplarBytes(id: string): Uint8Array {
  const label = [0x0a, 8, ...Buffer.from('trace_id'), 0x12, id.length, ...Buffer.from(id)];
  return Uint8Array.from([0x0a, label.length, ...label]);
}

/** Each row as text, series by series: sections keep the order within each only. */
export function rowsBySeries(columns: SampleColumns): Record<string, string[]> {
  const series: Record<string, string[]> = {};
  const objects = new Map(columns.objects.map((object) => [object.row, object]));
  for (let row = 0; row < columns.count; row++) {
    const object = objects.get(row);
    const what =
      object === undefined
        ? `${columns.valueBits[row * 2 + 1]} ${columns.valueBits[row * 2]}`
        : `${object.kind} ${Buffer.from(wholeObject(object)).toString('hex')}`;
    const kind = object?.kind === 'exemplar' ? 'exemplars of ' : '';
    const text = `${columns.timestamps[row]} from ${columns.startOf(row)}: ${what}`;
    const key = `${kind}${columns.ids[row]}`;
    series[key] = [...(series[key] ?? []), text];
  }
  return series;
}
