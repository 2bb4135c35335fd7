import type { Random } from '../../base/random.ts';
import { DictionaryCopy } from '../../hub/expand/dictionary-copy.ts';
import { ByteWriter } from '../../proto/bytes.ts';
import { encodeSeriesEntry } from '../../proto/dictionary-entry.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';

/** Label bytes as they stand in a TimeSeries; names must be given in ascending order. */
export function labelBytes(labels: Record<string, string>): Uint8Array {
  const writer = new ByteWriter();
  for (const [name, value] of Object.entries(labels)) {
    const label = new ByteWriter();
    for (const [tag, text] of [
      [0x0a, name],
      [0x12, value],
    ] as const) {
      label.byte(tag);
      label.varint(Buffer.byteLength(text));
      label.raw(Buffer.from(text));
    }
    writer.byte(0x0a);
    writer.varint(label.length);
    writer.raw(label.finish());
  }
  return writer.finish();
}

export function newDictionary(): DictionaryCopy {
  return new DictionaryCopy({ clusterLabel: 'cluster', replicaLabel: '__replica__' });
}

export function appendSeries(
  copy: DictionaryCopy,
  tenant: string,
  labels: Record<string, string>,
): number {
  const id = copy.length;
  const result = copy.append(encodeSeriesEntry(tenant, labelBytes(labels)));
  if (result.kind !== 'appended') throw new Error(result.message);
  return id;
}

/** Columns from [id, timestamp] pairs; the value's bits are the row number, so none is alike. */
export function columnsOf(rows: readonly (readonly [number, number])[]): SampleColumns {
  const columns = new SampleColumns(1);
  for (const [id, timestamp] of rows) columns.push(id, timestamp, columns.count, 0x7ff0_0000);
  return columns;
}

/** A whole number from 0 to `below` - 1. */
export function pick(random: Random, below: number): number {
  return Math.floor(random.float() * below);
}
