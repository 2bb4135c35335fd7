import { SampleColumns } from '../../proto/sample-columns.ts';
import { encodeSegment, SEGMENT_SAMPLES_MAX } from '../../proto/segment.ts';
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
  for (const { columns } of parts) {
    let from = 0;
    while (from < columns.count) {
      const to = Math.min(columns.count, from + SEGMENT_SAMPLES_MAX - segment.count);
      segment.appendRows(columns, from, to);
      from = to;
      if (segment.count === SEGMENT_SAMPLES_MAX) {
        yield segment;
        segment = new SampleColumns();
      }
    }
  }
  if (segment.count > 0) yield segment;
}
