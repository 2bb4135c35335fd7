import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import { selectBatch } from './batch-selection.ts';
import type { Answered } from './buffer-tools.ts';
import { DamagedBufferError } from './damage.ts';
import type { BufferDatabase } from './database.ts';
import type { DiskGuard } from './disk-guard.ts';
import {
  type Losses,
  type LossLog,
  type LossReason,
  type LostSegment,
  recordLosses,
} from './losses.ts';
import { asLost } from './missing.ts';
import { PackShelf } from './pack-shelf.ts';
import type { PackHead, PackTable } from './pack-table.ts';
import { lostPack } from './packs.ts';
import { Pins } from './pins.ts';
import type { SegmentHead, StoredSegment } from './segment-table.ts';
import { StoringTimes } from './storing-times.ts';
import type { Stock } from './take-stock.ts';
import { type Removal, removalOf, removalsOfPack, type Witness } from './witness.ts';

/** Segments evicted in one go, between two looks at what that has freed; or one pack. */
export const EVICTED_AT_ONCE = 16;

export interface SampleStoreParts {
  db: BufferDatabase;
  disk: DiskGuard;
  witness: Witness;
  losses: Losses;
  log: Log;
  clock: Clock;
  /** What the database held when it was opened. */
  stock: Stock;
  /** Answered for, yet still in the database. */
  unforgotten: readonly Answered[];
}

/**
 * The samples that wait in the buffer: segments and packs in the order of their ids, which is that
 * of their arrival. What waits for its answer is pinned: no limit takes it away.
 */
export class SampleStore {
  readonly losses: Losses;
  protected readonly db: BufferDatabase;
  protected readonly disk: DiskGuard;
  protected readonly witness: Witness;
  protected readonly log: Log;
  readonly #backlog = new Map<string, number>();
  protected readonly shelf: PackShelf;
  /** Packs that are not to be shipped for the time being. */
  protected readonly parked: PackShelf;
  protected readonly pins = new Pins();
  readonly #unforgotten: Answered[];
  protected readonly clock: Clock;
  protected readonly storingTimes: StoringTimes;

  constructor({ db, disk, witness, losses, log, clock, stock, unforgotten }: SampleStoreParts) {
    this.db = db;
    this.disk = disk;
    this.witness = witness;
    this.losses = losses;
    this.log = log;
    this.#unforgotten = [...unforgotten];
    this.clock = clock;
    this.storingTimes = new StoringTimes(clock.elapsedMs());
    const { segments, parked } = stock;
    const { intact, damaged } = stock.packs;
    this.shelf = new PackShelf(intact);
    this.parked = new PackShelf(parked.intact);
    const packs = [...intact, ...damaged, ...parked.intact, ...parked.damaged];
    for (const { tenant, samples } of [...segments, ...packs]) this.addBacklog(tenant, samples);
    const waiting = [
      ...segments,
      ...packs.flatMap((pack) => {
        const { id, oldest, newest } = pack;
        return removalsOfPack(pack).map((range) => ({ ...range, id, oldest, newest }));
      }),
    ];
    witness.found(waiting);
    for (const pack of damaged) this.setPackAside(pack);
    for (const pack of parked.damaged) this.setPackAside(pack, 'parked');
  }

  /** Answered for, yet still in the database. */
  get unforgotten(): readonly Answered[] {
    return this.#unforgotten;
  }

  /** Samples that wait, by tenant. */
  get backlog(): ReadonlyMap<string, number> {
    return this.#backlog;
  }

  /** Samples of a tenant that wait in segments, not in packs. */
  unpackedSamples(tenant: string): number {
    const packed = this.shelf.samples(tenant) + this.parked.samples(tenant);
    return (this.#backlog.get(tenant) ?? 0) - packed;
  }

  /** Samples in packs, over all tenants. */
  get packedSamples(): number {
    return this.shelf.all().reduce((sum, { samples }) => sum + samples, 0);
  }

  /** Packs of a tenant, oldest first. */
  packs(tenant: string): readonly PackHead[] {
    return this.shelf.ofTenant(tenant);
  }

  /**
   * The oldest segments of a tenant from id `from` on and before the first pack behind it: at least
   * one if there is any, then as many of one epoch as a batch may hold. Pinned until the next `pin`.
   * Damaged ones are set aside and accounted for. None while the disk cannot be read or written.
   *
   * @throws DamagedBufferError
   */
  read(tenant: string, samplesMax: number, from = 0): StoredSegment[] {
    if (!this.isUpToDate()) return [];
    return this.disk.read([], () => this.#read(tenant, samplesMax, from));
  }

  #read(tenant: string, samplesMax: number, from: number): StoredSegment[] {
    const pack = this.shelf.ofTenant(tenant).find(({ id }) => id >= from);
    const below = pack?.id ?? Number.MAX_SAFE_INTEGER;
    const stored = this.db.segments.stored(tenant, from, below);
    const { segments, damaged } = selectBatch(stored, samplesMax);
    for (const segment of damaged) this.#setAside(segment);
    const isWhole = from === 0 && pack === undefined;
    if (isWhole && segments.length + damaged.length === 0 && this.unpackedSamples(tenant) > 0) {
      throw new DamagedBufferError('segments that must be there are not found');
    }
    this.pins.pinMore(tenant, segments);
    return segments;
  }

  /** Whether the tenant has a segment with an id below `id`; while nobody can tell, it may have. */
  hasSegmentBefore(tenant: string, id: number): boolean {
    return this.disk.read(true, () => {
      const [first] = this.db.segments.heads(tenant, 0, 'ASC');
      return first !== undefined && first.id < id;
    });
  }

  /** Whether the tenant has a segment with an id above `id`, as far as anybody can tell. */
  hasSegmentBehind(tenant: string, id: number): boolean {
    return this.disk.read(false, () => {
      const [next] = this.db.segments.heads(tenant, id + 1, 'ASC');
      return next !== undefined;
    });
  }

  /** Lowest id of what was stored after `atMs` of the monotonic clock; 0: nobody knows. */
  firstStoredAfter(atMs: number): number {
    return this.disk.read(0, () =>
      Math.min(this.storingTimes.firstAfter(atMs), this.db.lastSegmentId() + 1),
    );
  }

  /** Segments from `firstId` on were stored now. The disk is not asked: they are committed. */
  protected noteStored(firstId: number): void {
    this.storingTimes.note(firstId, this.clock.elapsedMs());
  }

  /** Pins the segments with these ids, and no others of the tenant. */
  pin(tenant: string, ids: { first: number; last: number } | undefined): void {
    this.pins.pinSegments(tenant, ids);
  }

  /**
   * The body of a pack, which stays pinned until `unpinPack`; undefined when it was damaged, is
   * gone, or as long as the disk cannot be read or does not let go of what was answered for.
   */
  readPack(pack: PackHead): Uint8Array | undefined {
    if (!this.isUpToDate() || !this.shelf.has(pack)) return undefined;
    return this.disk.read(undefined, () => {
      const body = this.db.packs.body(pack.key);
      if (body === undefined) this.setPackAside(pack);
      else this.pins.pinPack(pack.key);
      return body;
    });
  }

  unpinPack({ key }: PackHead): void {
    this.pins.unpinPack(key);
  }

  /** An intact segment that can be read; a damaged one is set aside and accounted for. */
  readSegment({ id }: Pick<SegmentHead, 'id'>): StoredSegment | undefined {
    const segment = this.disk.read(undefined, () => this.db.segments.get(id));
    if (segment === undefined || segment.isIntact) return segment;
    this.#setAside(segment);
    return undefined;
  }

  /**
   * Forgets what the destination has answered for; returns the samples removed. Idempotent. On a
   * failing disk it is done later, and nothing is read before.
   */
  acknowledge(
    tenant: string,
    ranges: readonly PositionRange[],
    onForgotten: (samples: number) => void = () => {},
  ): number {
    let forgotten = 0;
    const count = (samples: number): void => {
      forgotten += samples;
      onForgotten(samples);
    };
    this.#unforgotten.push({ tenant, ranges, onForgotten: count });
    this.#forget();
    return forgotten;
  }

  oldestTimestamp(): number | undefined {
    const [pack] = this.shelf.all();
    const segment = this.disk.figure(undefined, () => {
      const [oldest] = this.db.segments.oldest();
      return oldest?.oldest;
    });
    if (pack === undefined) return segment;
    return segment === undefined ? pack.oldest : Math.min(pack.oldest, segment);
  }

  /** Whether samples refer to an epoch, by its local key. */
  protected isEpochInUse(key: number): boolean {
    const packs = [...this.shelf.all(), ...this.parked.all()];
    return packs.some(({ epoch }) => epoch === key) || this.db.segments.isEpochInUse(key);
  }

  /**
   * Evicts the oldest unpinned segments and packs while `wanted` says so; returns how many.
   * `weight` is what is taken so far, in segments: a pack may hold ten minutes of a tenant.
   */
  protected evict(
    reason: 'age' | 'bytes',
    wanted: (stored: { storedAt: number }, weight: number) => boolean,
  ): number {
    // What was answered for is no loss, even where it is still there.
    if (!this.isUpToDate()) return 0;
    const segments: SegmentHead[] = [];
    const packs: PackHead[] = [];
    for (const stored of this.#oldestFirst()) {
      if (!wanted(stored, segments.length + EVICTED_AT_ONCE * packs.length)) {
        // What is not parked is none the younger for it.
        if ('positions' in stored && this.parked.has(stored)) continue;
        break;
      }
      if ('positions' in stored) packs.push(stored);
      else segments.push(stored);
    }
    if (segments.length + packs.length === 0) return 0;
    this.remove([...segments.map(removalOf), ...packs.flatMap(removalsOfPack)], () => {
      for (const { id } of segments) this.db.segments.remove(id);
      for (const pack of packs) this.tableOf(pack).remove(pack.key);
    });
    for (const pack of packs) (this.parked.has(pack) ? this.parked : this.shelf).remove(pack);
    this.lose(reason, [...segments, ...packs.map(lostPack)]);
    return segments.length + packs.length;
  }

  protected addBacklog(tenant: string, samples: number): void {
    this.#backlog.set(tenant, (this.#backlog.get(tenant) ?? 0) + samples);
  }

  protected tableOf(pack: PackHead): PackTable {
    return this.parked.has(pack) ? this.db.parked : this.db.packs;
  }

  /** What is not pinned, over all tenants; what is parked has the least to wait for. */
  *#oldestFirst(): Generator<SegmentHead | PackHead> {
    yield* this.parked.all();
    const packs = this.shelf.all().filter(({ key }) => !this.pins.holdsPack(key));
    for (const segment of this.db.segments.oldest()) {
      while (packs.length > 0 && packs[0]!.id < segment.id) yield packs.shift()!;
      if (!this.pins.holdsSegment(segment)) yield segment;
    }
    yield* packs;
  }

  #forget(): void {
    this.disk.run(() => {
      for (let [next] = this.#unforgotten; next !== undefined; [next] = this.#unforgotten) {
        const samples = this.#forgetAnswered(next);
        this.#unforgotten.shift();
        next.onForgotten(samples);
      }
      return undefined;
    });
  }

  #forgetAnswered({ tenant, ranges }: Answered): number {
    const packs = this.shelf.coveredBy(tenant, ranges);
    const removals = this.db.segments.removalsIn(tenant, ranges);
    if (removals.length + packs.length === 0) return 0;
    this.remove([...removals, ...packs.flatMap(removalsOfPack)], () => {
      for (const removal of removals) this.db.segments.removeRange(removal);
      for (const { key } of packs) this.db.packs.remove(key);
    });
    for (const pack of packs) this.shelf.remove(pack);
    const samples = [...removals, ...packs].reduce((sum, one) => sum + one.samples, 0);
    if (samples > 0) this.addBacklog(tenant, -samples);
    return samples;
  }

  /** Keeps a pack that is not what was written for inspection, out of the way of the others. */
  protected setPackAside(pack: PackHead, where: 'packs' | 'parked' = 'packs'): void {
    this.disk.run(() => {
      const lost = this.witness.lostWith(lostPack(pack));
      this.remove(removalsOfPack(pack), () => this.db[where].setAside(pack.key));
      (where === 'packs' ? this.shelf : this.parked).remove(pack);
      this.lose('damaged', [lost]);
      return undefined;
    });
  }

  /** Whether the database has nothing any more that was answered for. */
  protected isUpToDate(): boolean {
    this.#forget();
    return this.#unforgotten.length === 0;
  }

  /** Keeps a segment that cannot be read for inspection, out of the way of the others. */
  #setAside(segment: Omit<StoredSegment, 'body'>): void {
    this.disk.run(() => {
      const lost = this.witness.lostWith(asLost(segment));
      this.remove([removalOf(segment)], () => this.db.segments.setAside(segment.id));
      this.lose('damaged', [lost]);
      return undefined;
    });
  }

  /** Removes rows in one transaction, and from the witness. */
  protected remove(removals: readonly Removal[], work: () => void): void {
    this.witness.removing(removals, (number) =>
      this.db.transaction(() => {
        work();
        this.db.setRemovals(this.witness.run, number);
      }),
    );
  }

  protected lose(reason: LossReason, lost: readonly LostSegment[], log: LossLog = this.log): void {
    for (const { tenant, samples } of lost) this.addBacklog(tenant, -samples);
    recordLosses(this.losses, log, reason, lost);
  }
}
