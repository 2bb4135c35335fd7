import { firstObjectFrom, SampleColumns } from '../../proto/sample-columns.ts';
import {
  encodeSegment,
  SEGMENT_OBJECT_BYTES_MAX,
  SEGMENT_SAMPLES_MAX,
} from '../../proto/segment.ts';
import { timeRange } from '../../proto/time-range.ts';
import type { SegmentRow } from './segment-table.ts';

/** The rows of a group of samples, tenant by tenant: what comes together shares segments. */
export function segmentRows(
  group: readonly { tenant: string; columns: SampleColumns }[],
  heads: ReadonlyMap<string, number>,
  common: Pick<SegmentRow, 'epoch' | 'run' | 'storedAt'>,
): SegmentRow[] {
  const byTenant = Map.groupBy(
    group.filter(({ columns }) => columns.count > 0),
    ({ tenant }) => tenant,
  );
  const rows: SegmentRow[] = [];
  for (const [tenant, parts] of byTenant) {
    let sequence = heads.get(tenant) ?? 0;
    for (const columns of splitIntoSegments(parts)) {
      sequence++;
      rows.push({
        ...common,
        tenant,
        sequence,
        samples: columns.count,
        ...timeRange(columns),
        body: encodeSegment(columns),
      });
    }
  }
  return rows;
}

/** Joins parts in order and cuts them where a segment is full. */
function* splitIntoSegments(parts: readonly { columns: SampleColumns }[]) {
  let segment = new SampleColumns();
  let objectBytes = 0;
  for (const { columns } of parts) {
    let from = 0;
    while (from < columns.count) {
      const rowsEnd = Math.min(columns.count, from + SEGMENT_SAMPLES_MAX - segment.count);
      const { to, bytes } = objectsThatFit(columns, from, rowsEnd, objectBytes);
      segment.appendRows(columns, from, to);
      objectBytes += bytes;
      from = to;
      if (segment.count < SEGMENT_SAMPLES_MAX && to === rowsEnd) continue;
      yield segment;
      segment = new SampleColumns();
      objectBytes = 0;
    }
  }
  if (segment.count > 0) yield segment;
}

/** Up to where rows [from, to) go into a segment that has so many bytes of objects already. */
function objectsThatFit(
  { objects }: SampleColumns,
  from: number,
  to: number,
  bytesBefore: number,
): { to: number; bytes: number } {
  let bytes = 0;
  for (let at = firstObjectFrom(objects, from); at < objects.length; at++) {
    const object = objects[at]!;
    if (object.row >= to) break;
    const isOver = bytesBefore + bytes + object.bytes.length > SEGMENT_OBJECT_BYTES_MAX;
    // A single one always fits, however large.
    if (isOver && bytesBefore + bytes > 0) return { to: object.row, bytes };
    bytes += object.bytes.length;
  }
  return { to, bytes };
}
