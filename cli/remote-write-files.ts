import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WriteRequestEncoder } from '../proto/remote-write/encoder-1.ts';
import { encodeMetadataRequest } from '../proto/remote-write/metadata-out.ts';
import { mayShareSeries, type RowKind, storageRank } from '../proto/remote-write/written-rows.ts';
import type { RowObject } from '../proto/sample-columns.ts';
import { tenantName } from './buffer-names.ts';
import type { ExportedRow, SampleFiles } from './sample-files.ts';

/** A body that every receiver takes. */
const SAMPLES_MAX = 5000;

interface Open {
  encoder: WriteRequestEncoder;
  samples: number;
  bodies: number;
  /** Of the TimeSeries that was begun last, and what it holds. */
  labels: Uint8Array | undefined;
  holds: RowKind;
  /** By labels, of the series that the body has histograms of: the rank of the last one. */
  ranks: Map<Uint8Array, number>;
  metadata: Uint8Array[];
}

/**
 * Bodies of remote write 1.0, compressed with snappy as they are posted: one folder for each tenant,
 * numbered in the order in which they have to go.
 */
export class RemoteWriteFiles implements SampleFiles {
  readonly #folder: string;
  readonly #tenants = new Map<string, Open>();
  #startTimestamps = 0;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  sample(row: ExportedRow, low: number, high: number): void {
    this.#begin(row, undefined).encoder.sample(row.timestamp, low, high);
    this.#end(row);
  }

  object(row: ExportedRow, kind: RowObject['kind'], bytes: Uint8Array): boolean {
    this.#begin(row, { row: 0, kind, bytes }).encoder[kind](row.timestamp, bytes);
    this.#end(row);
    return true;
  }

  metadata(tenant: string, record: Uint8Array): void {
    this.#open(tenant).metadata.push(record);
  }

  finish(): string[] {
    for (const [tenant, open] of this.#tenants) {
      if (open.samples > 0) this.#writeBody(tenant, open);
      if (open.metadata.length === 0) continue;
      this.#write(tenant, 'metadata.snappy', encodeMetadataRequest(open.metadata));
    }
    const starts = this.#startTimestamps;
    return starts > 0
      ? [`${starts} start timestamps were left out: remote write 1.0 has none`]
      : [];
  }

  /** Begins a TimeSeries where the row does not belong to the last one. */
  #begin({ tenant, labels }: ExportedRow, object: RowObject | undefined): Open {
    const open = this.#open(tenant);
    const kind = object?.kind ?? 'sample';
    if (kind !== 'exemplar') this.#noteRank(tenant, open, labels, storageRank(object));
    if (open.labels !== labels || !mayShareSeries(open.encoder, kind, open.holds)) {
      open.encoder.series(labels, 0, labels.length);
      open.labels = labels;
      open.holds = kind;
    }
    if (kind !== 'exemplar') open.holds = kind;
    return open;
  }

  /** Ends the body before a series falls in rank in it. */
  #noteRank(tenant: string, open: Open, labels: Uint8Array, rank: number): void {
    if (rank < (open.ranks.get(labels) ?? 0)) this.#writeBody(tenant, open);
    if (rank > 0) open.ranks.set(labels, rank);
  }

  #end({ tenant, startTimestamp }: ExportedRow): void {
    if (startTimestamp !== 0) this.#startTimestamps++;
    const open = this.#open(tenant);
    if (++open.samples === SAMPLES_MAX) this.#writeBody(tenant, open);
  }

  #open(tenant: string): Open {
    let open = this.#tenants.get(tenant);
    if (open === undefined) {
      const encoder = new WriteRequestEncoder();
      const none = { labels: undefined, holds: 'exemplar' as const, ranks: new Map() };
      open = { encoder, samples: 0, bodies: 0, ...none, metadata: [] };
      this.#tenants.set(tenant, open);
      mkdirSync(join(this.#folder, tenantName(tenant)), { recursive: true });
    }
    return open;
  }

  #writeBody(tenant: string, open: Open): void {
    open.bodies++;
    this.#write(tenant, `${String(open.bodies).padStart(8, '0')}.snappy`, open.encoder.finish());
    open.samples = 0;
    open.labels = undefined;
    open.ranks.clear();
  }

  #write(tenant: string, name: string, body: Uint8Array): void {
    writeFileSync(join(this.#folder, tenantName(tenant), name), body);
  }
}
