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
  FULL,
  type NewEntries,
  REFUSED,
  type Refusal,
  type SeriesLookup,
} from '../../proto/series-lookup.ts';
import { ByteStrings } from './byte-strings.ts';

const HOUR_MS = 3_600_000;
/** Names of tenants come from outside: their number needs a limit. */
const TENANTS_MAX = 10_000;
/** So much for aliases in any case; beyond, at most as much as the entries themselves take. */
const ALIAS_BYTES_MIN = 1 << 20;

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
  #entries = new ByteStrings();
  /** Label sets as some sender writes them where that is not the canonical form. */
  #aliases = new ByteStrings();
  /** Per alias, the id of the series. */
  #aliasIds: number[] = [];
  /** Per id, the hour in which it was met last, counted from the Unix epoch. */
  #seenHours = new Uint32Array(256);
  #hour = 0;
  /** Per id, the id that followed it the last time, plus 1; 0: none. */
  #successors = new Uint32Array(256);
  #tenants: string[] = [];
  #tenantNumbers = new Map<string, number>();
  #takenCount = 0;
  #refusal: Refusal = { reason: 'no_labels' };

  /** @param options seriesMax: limit for series and metadata records together, over all tenants */
  constructor({ seriesMax }: { seriesMax: number }) {
    this.#entriesMax = seriesMax;
  }

  /** Entries of the log, handed out or not. */
  get length(): number {
    return this.#entries.count;
  }

  get lastRefusal(): Refusal {
    return this.#refusal;
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
    const isSeries = decoded.kind === 'series';
    const payload = isSeries ? decoded.labels : decoded.bytes;
    const space = isSeries ? seriesSpace(tenant) : metadataSpace(tenant);
    // No limit here: the log is what it is, even if the operator has lowered buffer.max_series.
    this.#add(space, payload, 0, payload.length);
    this.#takenCount = this.#entries.count;
  }

  /** Forgets everything: a new epoch begins. */
  reset(): void {
    this.#entries = new ByteStrings();
    this.#aliases = new ByteStrings();
    this.#aliasIds = [];
    this.#successors = new Uint32Array(256);
    this.#seenHours = new Uint32Array(256);
    this.#tenants = [];
    this.#tenantNumbers = new Map();
    this.#takenCount = 0;
  }

  /** Says what time it is: lookups from now on count as seen then. */
  tick(nowMs: number): void {
    this.#hour = Math.floor(nowMs / HOUR_MS);
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

  /**
   * Scrapes repeat: the bytes are first compared with those of the series that followed `previous`
   * the last time, which needs neither a hash nor a string.
   */
  resolve(tenant: number, previous: number, bytes: Uint8Array, from: number, to: number): number {
    const space = seriesSpace(tenant);
    if (previous >= 0) {
      const predicted = this.#successors[previous]! - 1;
      if (predicted >= 0 && this.#entries.matches(predicted, space, bytes, from, to)) {
        this.#seenHours[predicted] = this.#hour;
        return predicted;
      }
    }
    const id = this.#lookUp(space, bytes, from, to);
    if (id < 0) return id;
    this.#seenHours[id] = this.#hour;
    if (previous >= 0) this.#successors[previous] = id + 1;
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

  #lookUp(space: number, bytes: Uint8Array, from: number, to: number): number {
    const known = this.#entries.find(space, bytes, from, to);
    if (known >= 0) return known;
    const alias = this.#aliases.find(space, bytes, from, to);
    if (alias >= 0) return this.#aliasIds[alias]!;
    if (isCanonicalLabelSet(bytes, from, to)) return this.#addNew(space, bytes, from, to);
    return this.#lookUpForm(space, bytes, from, to);
  }

  /** For labels that a sender writes in its own way. */
  #lookUpForm(space: number, bytes: Uint8Array, from: number, to: number): number {
    const verdict = canonicalLabelSet(bytes, from, to);
    if (verdict.kind === 'refused') {
      if (verdict.reason === 'malformed') throw new DecodeError(`labels before byte ${to}`);
      this.#refusal = verdict;
      return REFUSED;
    }
    const id = this.#findOrAdd(space, verdict.bytes);
    if (id >= 0) this.#addAlias(id, space, bytes, from, to);
    return id;
  }

  #findOrAdd(space: number, canonical: Uint8Array): number {
    const known = this.#entries.find(space, canonical, 0, canonical.length);
    if (known >= 0) return known;
    return this.#addNew(space, canonical, 0, canonical.length);
  }

  #addNew(space: number, canonical: Uint8Array, from: number, to: number): number {
    if (this.#entries.count >= this.#entriesMax) return FULL;
    return this.#add(space, canonical, from, to);
  }

  #add(space: number, canonical: Uint8Array, from: number, to: number): number {
    const id = this.#entries.add(space, canonical, from, to);
    if (id === this.#successors.length) {
      const successors = new Uint32Array(id * 2);
      successors.set(this.#successors);
      this.#successors = successors;
      const seenHours = new Uint32Array(id * 2);
      seenHours.set(this.#seenHours);
      this.#seenHours = seenHours;
    }
    this.#seenHours[id] = this.#hour;
    return id;
  }

  /** Aliases are a shortcut: a sender that shuffles its labels must not fill the memory. */
  #addAlias(id: number, space: number, bytes: Uint8Array, from: number, to: number): void {
    if (this.#aliases.bytes + to - from > Math.max(ALIAS_BYTES_MIN, this.#entries.bytes)) {
      this.#aliases = new ByteStrings();
      this.#aliasIds = [];
    }
    this.#aliasIds[this.#aliases.add(space, bytes, from, to)] = id;
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
