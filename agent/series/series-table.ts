import { assert } from '../../base/assert.ts';
import { DecodeError } from '../../proto/bytes.ts';
import {
  decodeEntry,
  encodeMetadataEntry,
  encodeSeriesEntry,
} from '../../proto/dictionary-entry.ts';
import { canonicalLabelSet, isCanonicalLabelSet } from '../../proto/label-set.ts';
import { canonicalMetadata } from '../../proto/metric-metadata.ts';
import {
  DROPPED,
  FULL,
  type NewEntries,
  REFUSED,
  type Refusal,
  type SeriesGate,
  type SeriesLookup,
} from '../../proto/series-lookup.ts';
import { ByteStrings } from './byte-strings.ts';
import { IncomingSets } from './incoming-sets.ts';
import { Owners } from './owners.ts';
import { SeriesCounts, type SeriesLimits } from './series-counts.ts';

const HOUR_MS = 3_600_000;
/** Names of tenants come from outside: their number needs a limit. */
const TENANTS_MAX = 10_000;
export interface SeriesTableOptions {
  /** Limit for series and metadata records together, over all tenants. */
  seriesMax: number;
  /** Absent: every label set that can be a series is taken as it is. */
  gate?: SeriesGate | undefined;
  limits?: SeriesLimits | undefined;
  /** Two label sets have become one series, and their samples interleave. */
  onShared?: (shared: SharedSeries) => void;
}

/** Label bytes of a series and of two label sets that have become it. */
export interface SharedSeries {
  series: Uint8Array;
  sets: [Uint8Array, Uint8Array];
}

const NO_LIMITS: SeriesLimits = { perTenantMax: 0, perMetricMax: 0 };

/**
 * The dictionary log of one epoch as the agent's ingest sees it: from label bytes as they come in
 * to the id of the entry. Tenant numbers and ids hold until `reset`.
 *
 * Ids count over all tenants, and over metadata records as well as series. A metadata record that
 * is in the log is never appended again: two exporters that explain one family differently would
 * else append two entries a minute for ever.
 */
export class SeriesTable implements SeriesLookup {
  readonly #entriesMax: number;
  readonly #onShared: (shared: SharedSeries) => void;
  #gate: SeriesGate | undefined;
  #entries = new ByteStrings();
  #incoming: IncomingSets;
  /** Of incoming sets that are refused. */
  readonly #refusals = new Map<number, Refusal>();
  readonly #owners = new Owners();
  readonly #counts: SeriesCounts;
  /** Per id, the hour in which it was met last, counted from the first `tick`. */
  #seenHours = new Uint32Array(256);
  #hour = 0;
  #firstTickMs: number | undefined;
  #tenants: string[] = [];
  #tenantNumbers = new Map<string, number>();
  #takenCount = 0;
  #refusal: Refusal = { reason: 'no_labels' };

  constructor({ seriesMax, gate, limits, onShared = () => {} }: SeriesTableOptions) {
    this.#entriesMax = seriesMax;
    this.#incoming = new IncomingSets(this.#entries, seriesMax);
    this.#gate = gate;
    this.#counts = new SeriesCounts(limits ?? NO_LIMITS);
    this.#onShared = onShared;
  }

  /** Entries of the log, handed out or not. */
  get length(): number {
    return this.#entries.count;
  }

  /** Series that several label sets share. */
  get sharedCount(): number {
    return this.#owners.sharedCount;
  }

  get lastRefusal(): Refusal {
    return this.#refusal;
  }

  /** From the next sample on, each label set is judged anew. */
  changeGate(gate: SeriesGate | undefined, limits: SeriesLimits): void {
    this.#gate = gate;
    this.#counts.limits = limits;
    this.#forgetIncoming();
  }

  /**
   * Takes in entry `id` of the durable log, in order, at start.
   *
   * @throws DecodeError
   */
  restore(entry: Uint8Array, id: number): void {
    assert(id === this.#entries.count, 'entries restored out of order');
    const decoded = decodeEntry(entry);
    const tenant = this.tenant(decoded.tenant);
    assert(tenant !== FULL, 'more tenants in the log than it can ever have had');
    // No limit here: the log is what it is, even if the operator has lowered buffer.max_series.
    if (decoded.kind === 'series') this.#addSeries(tenant, decoded.labels);
    else this.#add(metadataSpace(tenant), decoded.bytes);
    this.#takenCount = this.#entries.count;
  }

  /** Forgets everything: a new epoch begins. */
  reset(): void {
    this.#entries = new ByteStrings();
    this.#incoming = new IncomingSets(this.#entries, this.#entriesMax);
    this.#refusals.clear();
    this.#owners.clear();
    this.#counts.clear();
    this.#seenHours = new Uint32Array(256);
    this.#tenants = [];
    this.#tenantNumbers = new Map();
    this.#takenCount = 0;
  }

  /**
   * Says what time it is, by a clock that never jumps: lookups from now on count as seen then.
   * What came before the first tick counts as seen at it, entries that were restored included.
   */
  tick(elapsedMs: number): void {
    this.#firstTickMs ??= elapsedMs;
    this.#hour = Math.floor((elapsedMs - this.#firstTickMs) / HOUR_MS);
  }

  /** Share of the entries, 0 to 1, that have not been met for `hours`, as far as `tick` knows. */
  unseenShare(hours: number): number {
    const count = this.#entries.count;
    let unseen = 0;
    for (let id = 0; id < count; id++) {
      if (this.#seenHours[id]! + hours < this.#hour) unseen++;
    }
    return count === 0 ? 0 : unseen / count;
  }

  tenant(name: string): number {
    const known = this.#tenantNumbers.get(name);
    if (known !== undefined) return known;
    if (this.#tenants.length === TENANTS_MAX) return FULL;
    this.#tenantNumbers.set(name, this.#tenants.length);
    return this.#tenants.push(name) - 1;
  }

  resolve(tenant: number, bytes: Uint8Array, from: number, to: number): number {
    const space = seriesSpace(tenant);
    let set = this.#incoming.find(space, bytes, from, to);
    if (set < 0) {
      set = this.#meet(tenant, bytes, from, to);
      if (set < 0) return set;
    }
    const id = this.#incoming.verdict(set);
    if (id === REFUSED) this.#refusal = this.#refusals.get(this.#incoming.origin(set))!;
    if (id < 0) return id;
    this.#seenHours[id] = this.#hour;
    const origin = this.#incoming.origin(set);
    const other = this.#owners.note(id, origin);
    if (other !== undefined) this.#reportShared(id, other, origin);
    return id;
  }

  noteMetadata(tenant: number, bytes: Uint8Array, from: number, to: number): number {
    const space = metadataSpace(tenant);
    const known = this.#entries.find(space, bytes, from, to);
    const canonical = known >= 0 ? undefined : canonicalMetadata(bytes, from, to);
    if (known < 0 && canonical === undefined) return REFUSED;
    const id = canonical === undefined ? known : this.#findOrAdd(space, canonical);
    if (id >= 0) this.#seenHours[id] = this.#hour;
    return id;
  }

  takeNewEntries(): NewEntries | undefined {
    const firstId = this.#takenCount;
    if (firstId === this.#entries.count) return undefined;
    const entries: Uint8Array[] = [];
    for (let id = firstId; id < this.#entries.count; id++) entries.push(this.#encode(id));
    this.#takenCount = this.#entries.count;
    return { firstId, entries };
  }

  /** Decides what becomes of a label set that is met for the first time; its number, or why not. */
  #meet(tenant: number, bytes: Uint8Array, from: number, to: number): number {
    if (this.#incoming.isFull) this.#forgetIncoming();
    const space = seriesSpace(tenant);
    if (isCanonicalLabelSet(bytes, from, to)) return this.#meetCanonical(tenant, bytes, from, to);
    const verdict = canonicalLabelSet(bytes, from, to);
    if (verdict.kind === 'refused') {
      if (verdict.reason === 'malformed') throw new DecodeError(`labels before byte ${to}`);
      return this.#refuse(verdict);
    }
    const form = verdict.bytes;
    const known = this.#incoming.find(space, form, 0, form.length);
    const origin = known >= 0 ? known : this.#meetCanonical(tenant, form, 0, form.length);
    if (origin < 0) return origin;
    const own = bytes.subarray(from, to);
    return this.#incoming.add(space, own, this.#incoming.verdict(origin), origin);
  }

  #meetCanonical(tenant: number, bytes: Uint8Array, from: number, to: number): number {
    const space = seriesSpace(tenant);
    const labels = bytes.subarray(from, to);
    const verdict = this.#gate?.(labels) ?? { kind: 'kept', labels };
    switch (verdict.kind) {
      case 'refused':
        return this.#remember(space, labels, verdict.refusal);
      case 'dropped':
        return this.#incoming.add(space, labels, DROPPED - verdict.rule);
      case 'kept': {
        const id = this.#seriesOf(tenant, verdict.labels);
        if (id === REFUSED) return this.#remember(space, labels, this.#refusal);
        if (id < 0) return id;
        const isSame = this.#entries.matches(id, space, bytes, from, to);
        return isSame ? this.#incoming.borrow(id, id) : this.#incoming.add(space, labels, id);
      }
    }
  }

  /** A refusal by the configuration holds as long as that does, and costs a filter each time. */
  #remember(space: number, labels: Uint8Array, refusal: Refusal): number {
    const set = this.#incoming.add(space, labels, REFUSED);
    this.#refusals.set(set, refusal);
    return set;
  }

  #refuse(refusal: Refusal): typeof REFUSED {
    this.#refusal = refusal;
    return REFUSED;
  }

  /** @param labels canonical */
  #seriesOf(tenant: number, labels: Uint8Array): number {
    const known = this.#entries.find(seriesSpace(tenant), labels, 0, labels.length);
    if (known >= 0) return known;
    if (this.#entries.count >= this.#entriesMax) return FULL;
    const refusal = this.#counts.refusal(tenant, labels);
    return refusal === undefined ? this.#addSeries(tenant, labels) : this.#refuse(refusal);
  }

  #addSeries(tenant: number, labels: Uint8Array): number {
    this.#counts.add(tenant, labels);
    return this.#add(seriesSpace(tenant), labels);
  }

  #findOrAdd(space: number, canonical: Uint8Array): number {
    const known = this.#entries.find(space, canonical, 0, canonical.length);
    if (known >= 0) return known;
    return this.#entries.count >= this.#entriesMax ? FULL : this.#add(space, canonical);
  }

  #add(space: number, canonical: Uint8Array): number {
    const id = this.#entries.add(space, canonical);
    if (id === this.#seenHours.length) {
      const seenHours = new Uint32Array(id * 2);
      seenHours.set(this.#seenHours);
      this.#seenHours = seenHours;
    }
    this.#seenHours[id] = this.#hour;
    return id;
  }

  #forgetIncoming(): void {
    this.#incoming.clear();
    this.#refusals.clear();
    this.#owners.clear();
  }

  #reportShared(id: number, one: number, other: number): void {
    const sets: SharedSeries['sets'] = [this.#incoming.at(one), this.#incoming.at(other)];
    this.#onShared({ series: this.#entries.at(id), sets });
  }

  #encode(id: number): Uint8Array {
    const space = this.#entries.spaceOf(id);
    const tenant = this.#tenants[space >>> 1]!;
    const payload = this.#entries.at(id);
    return isMetadata(space)
      ? encodeMetadataEntry(tenant, payload)
      : encodeSeriesEntry(tenant, payload);
  }
}

// Series and metadata records of each tenant are kept apart.

function seriesSpace(tenant: number): number {
  return tenant * 2;
}

function metadataSpace(tenant: number): number {
  return tenant * 2 + 1;
}

function isMetadata(space: number): boolean {
  return space % 2 === 1;
}
