import type { OfflineBuffer } from '../agent/buffer/salvage/offline-buffer.ts';
import { decodeEntry } from '../proto/dictionary-entry.ts';
import { wholeObject } from '../proto/objects/histogram.ts';
import { ObjectCursor, type RowObject, SampleColumns } from '../proto/sample-columns.ts';
import type { ExportOptions } from './buffer-export-flags.ts';
import { tenantName } from './buffer-names.ts';
import { OpenMetricsFiles } from './open-metrics-files.ts';
import { RemoteWriteFiles } from './remote-write-files.ts';
import type { ExportedRow, SampleFiles } from './sample-files.ts';

export interface Exported {
  lines: string[];
  /** Why nothing was written. */
  error?: string;
}

/** Writes what can be read of a buffer. */
export function exportBuffer(buffer: OfflineBuffer, options: ExportOptions): Exported {
  const tenants = new Set(buffer.rows.map(({ tenant }) => tenant).filter(isWanted(options)));
  if (options.out === '-' && tenants.size > 1) {
    const names = [...tenants].map(tenantName).join(', ');
    return { lines: [], error: `--out=-: choose one tenant with --tenant: ${names}` };
  }
  const files: SampleFiles =
    options.format === 'openmetrics'
      ? new OpenMetricsFiles(options.out)
      : new RemoteWriteFiles(options.out);
  const { samples, damaged, nameless } = writeSamples(buffer, options, files);
  writeMetadata(buffer, tenants, files);
  const lines = files.finish();
  if (damaged > 0) lines.push(`${damaged} segments or packs are damaged and were left out`);
  if (nameless > 0) lines.push(`${nameless} samples were left out: their series are lost`);
  return { lines: [...lines, `${samples} samples of ${tenants.size} tenants exported`] };
}

function isWanted({ tenants }: ExportOptions): (tenant: string) => boolean {
  return (tenant) => tenants.length === 0 || tenants.includes(tenant);
}

function writeSamples(buffer: OfflineBuffer, options: ExportOptions, files: SampleFiles) {
  const { fromMs, toMs } = options;
  const wants = isWanted(options);
  const result = { samples: 0, damaged: 0, nameless: 0 };
  const columns = new SampleColumns();
  const series = new SeriesLabels(buffer);
  for (const row of buffer.rows) {
    const { tenant } = row;
    if (!wants(tenant)) continue;
    const read = buffer.read(row, columns);
    if (read === undefined) {
      result.damaged++;
      continue;
    }
    const objects = new ObjectCursor(columns.objects);
    for (let at = 0; at < columns.count; at++) {
      const timestamp = columns.timestamps[at]!;
      if (timestamp < fromMs || timestamp > toMs) continue;
      const labels = series.labels(read.epoch, columns.ids[at]!);
      if (labels === undefined) {
        result.nameless++;
        continue;
      }
      const exported = { tenant, labels, timestamp, startTimestamp: columns.startOf(at) };
      if (writeRow(files, exported, columns, at, objects.at(at))) result.samples++;
    }
  }
  return result;
}

/** Whether the files have a place for it. */
function writeRow(
  files: SampleFiles,
  row: ExportedRow,
  { valueBits }: SampleColumns,
  at: number,
  object: RowObject | undefined,
): boolean {
  if (object !== undefined) return files.object(row, object.kind, wholeObject(object));
  files.sample(row, valueBits[at * 2]!, valueBits[at * 2 + 1]!);
  return true;
}

/** Labels by epoch and id, each decoded once. */
class SeriesLabels {
  readonly #buffer: OfflineBuffer;
  readonly #known = new Map<number, (Uint8Array | undefined)[]>();

  constructor(buffer: OfflineBuffer) {
    this.#buffer = buffer;
  }

  /** Undefined for a series that is lost. */
  labels(epoch: number, id: number): Uint8Array | undefined {
    let known = this.#known.get(epoch);
    if (known === undefined) {
      known = [];
      this.#known.set(epoch, known);
    }
    if (known[id] === undefined) {
      const entry = this.#buffer.log(epoch).entries[id];
      const decoded = entry && decodeEntry(entry);
      known[id] = decoded?.kind === 'series' ? decoded.labels : undefined;
    }
    return known[id];
  }
}

function writeMetadata(
  buffer: OfflineBuffer,
  tenants: ReadonlySet<string>,
  files: SampleFiles,
): void {
  for (const key of buffer.image.entries.keys()) {
    for (const entry of buffer.log(key).entries) {
      const decoded = entry && decodeEntry(entry);
      if (decoded?.kind !== 'metadata' || !tenants.has(decoded.tenant)) continue;
      files.metadata(decoded.tenant, decoded.bytes);
    }
  }
}
