import type { LabelSetRefusal } from './label-set.ts';

/** `resolve` answers with an id, or with one of these. */
export const REFUSED = -1;
/** The dictionary holds as many entries, or tenants, as it may. */
export const FULL = -2;
/** A filter drops the series: this is its first rule, and each further one is one less. */
export const DROPPED = -3;

/** Why no series of these labels is taken, where that depends on the configuration. */
export type LimitRefusal =
  | 'too_many_labels'
  | 'label_name_too_long'
  | 'label_value_too_long'
  /** A name outside of the naming scheme. */
  | 'name_scheme'
  | 'too_many_series';

/** What becomes of a label set; `labels` canonical. */
export type GateVerdict =
  | { kind: 'kept'; labels: Uint8Array }
  | { kind: 'dropped'; rule: number }
  | { kind: 'refused'; refusal: Refusal };

/** Filters and limits; asked once for each label set, in canonical form. */
export type SeriesGate = (labels: Uint8Array) => GateVerdict;

/** Entries of the dictionary log that are not durable yet. */
export interface NewEntries {
  /** Id of the first one: as many entries were handed out before. */
  firstId: number;
  /** Canonical bytes of each. */
  entries: Uint8Array[];
}

/** Why a label set was refused. */
export interface Refusal {
  reason: LabelSetRefusal | LimitRefusal;
  /** Name of the guilty label, where there is one. */
  label?: string;
  /** Which limit, and by how much, or what the rules have made of it; else absent. */
  detail?: string;
}

/** From label bytes as they come in to ids of the dictionary log of the current epoch. */
export interface SeriesLookup {
  /** Number of a tenant for the other methods; FULL when there are too many. */
  tenant(name: string): number;
  /**
   * Id of the series whose `labels` fields are bytes [from, to), or REFUSED (see `lastRefusal`) or
   * FULL, or DROPPED or less. A series that is new is given the next id.
   *
   * @throws DecodeError when the labels are no protobuf
   */
  resolve(tenant: number, bytes: Uint8Array, from: number, to: number): number;
  readonly lastRefusal: Refusal;
  /**
   * Notes the MetricMetadata message in bytes [from, to): its id, or REFUSED when it names no
   * family or is too large, or FULL.
   *
   * @throws DecodeError
   */
  noteMetadata(tenant: number, bytes: Uint8Array, from: number, to: number): number;
  /**
   * Entries that came since the last call, or undefined. Each is handed out once: who takes them
   * must see to it that they reach the log, in order, before or with the samples that use them.
   */
  takeNewEntries(): NewEntries | undefined;
}
