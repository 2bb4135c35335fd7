import type { RowObject } from '../proto/sample-columns.ts';

/** A row of a buffer. */
export interface ExportedRow {
  tenant: string;
  /** The same array for the same series, as a rule. */
  labels: Uint8Array;
  timestamp: number;
  /** 0: not known. */
  startTimestamp: number;
}

/** Where samples are written to; a tenant's come in the order of storing. */
export interface SampleFiles {
  sample(row: ExportedRow, low: number, high: number): void;
  /** Whether there was a place for a canonical histogram or exemplar. */
  object(row: ExportedRow, kind: RowObject['kind'], bytes: Uint8Array): boolean;
  /** A canonical MetricMetadata. */
  metadata(tenant: string, record: Uint8Array): void;
  /** Says what could not be written, one line each. */
  finish(): string[];
}
