import type { ShippablePack, ShipTools } from './contracts.ts';
import { CutOffs } from './cut-offs.ts';
import type { SentSegments } from './sent-segments.ts';
import { countOne } from './ship-stats.ts';

/** A pack may last so many times as long as it should before it is worth splitting. */
const PATIENCE = 2;

export interface PackSizesDeps {
  tenant: string;
  tools: ShipTools;
  sent: SentSegments;
}

/** What is remembered of a pack while it is there. */
interface Note {
  /** The hub cannot have the pack, although batches with its segments were sent. */
  isNotAtHub: boolean;
  cutOffs: CutOffs;
}

/** Splits the packs of a tenant that are too large, and parks single samples that still are. */
export class PackSizes {
  readonly #deps: PackSizesDeps;
  /** By key. */
  readonly #notes = new Map<number, Note>();

  constructor(deps: PackSizesDeps) {
    this.#deps = deps;
  }

  /** The pack is being sent. */
  sent({ key }: ShippablePack): void {
    const note = this.#notes.get(key);
    if (note !== undefined) note.isNotAtHub = false;
  }

  /** The hub was cut off in the pack and does not have it; whether it may die of such packs. */
  isDeadly({ key }: ShippablePack): boolean {
    return this.#note(key).cutOffs.add();
  }

  /** Whether the pack was split because it is larger than the hub takes or the link should have. */
  cut(pack: ShippablePack): boolean {
    const { tools } = this.#deps;
    const bytesMax = Math.min(tools.sizes.bytesMax, PATIENCE * tools.link.bodyBytes('backlog'));
    if (pack.bytes <= bytesMax || pack.samples < 2) return false;
    // What the hub may have stays as it is: the hub knows it by its positions.
    return this.isNew(pack) && this.#split(pack, bytesMax);
  }

  /** Whether the hub cannot have the pack. */
  isNew(pack: ShippablePack): boolean {
    return this.#notes.get(pack.key)?.isNotAtHub === true || !this.#deps.sent.mayKnow(pack);
  }

  /** The hub has refused the row before it came to the pack, and cannot have it from elsewhere. */
  noteNotAtHub({ key }: ShippablePack): void {
    this.#note(key).isNotAtHub = true;
  }

  /**
   * The pack was refused as too large; what cannot be split is not in the way of the others.
   *
   * @param entryBytes of the dictionary beside it, which may be what is too large
   */
  refused(pack: ShippablePack, answer: string, { entryBytes }: { entryBytes: number }): void {
    const { tenant, tools } = this.#deps;
    const { sizes, log, stats } = tools;
    const { samples, bytes } = pack;
    const isMostlyEntries = entryBytes > bytes;
    if (samples > 1 && !isMostlyEntries) sizes.refused(bytes);
    if (this.#split(pack, sizes.bytesMax) || isMostlyEntries) return;
    const series = tools.nameSeries(tenant, pack.key);
    if (!tools.parkTooLarge(tenant, pack.key)) return;
    countOne(stats.events, 'too large alone');
    log.error(
      'pack too large',
      { samples, bytes, series, answer },
      'a sample is refused as too large: it is parked, and tried again every ten minutes; raise ' +
        'limits.max_batch or limits.max_decoded_batch of the hub, or the limit of the proxy before it',
    );
  }

  /** The segment `id` was refused as too large, and has become a pack. */
  splitSegment(id: number): void {
    const { tools, tenant } = this.#deps;
    const pack = tools.samples.packs(tenant).find((one) => one.id === id);
    const { bytesMax } = tools.sizes;
    if (pack !== undefined && pack.bytes > bytesMax) this.#split(pack, bytesMax);
  }

  #note(key: number): Note {
    let note = this.#notes.get(key);
    if (note !== undefined) return note;
    const { tools, tenant } = this.#deps;
    const keys = new Set(tools.samples.packs(tenant).map((pack) => pack.key));
    for (const known of this.#notes.keys()) if (!keys.has(known)) this.#notes.delete(known);
    note = { isNotAtHub: false, cutOffs: new CutOffs() };
    this.#notes.set(key, note);
    return note;
  }

  /** Splits a pack that is not at the hub, and its parts again as long as they are too large. */
  #split({ key }: ShippablePack, bytesMax: number): boolean {
    const { tools, tenant } = this.#deps;
    const before = new Set(tools.samples.packs(tenant).map((pack) => pack.key));
    if (!tools.splitPack(tenant, key, bytesMax)) return false;
    for (;;) {
      const parts = tools.samples.packs(tenant).filter((pack) => !before.has(pack.key));
      const large = parts.find((part) => part.bytes > bytesMax && part.samples > 1);
      if (large === undefined || !tools.splitPack(tenant, large.key, bytesMax)) {
        for (const part of parts) this.#note(part.key).isNotAtHub = true;
        return true;
      }
    }
  }
}
