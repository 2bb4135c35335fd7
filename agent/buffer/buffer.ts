import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import type { SampleColumns } from '../../proto/sample-columns.ts';
import { selectBatch } from './batch-selection.ts';
import {
  BufferDatabase,
  hex,
  type SegmentHead,
  type SegmentRow,
  type StoredSegment,
} from './database.ts';
import { Dictionary } from './dictionary.ts';
import { isDiskFault } from './disk-fault.ts';
import { FreeDisk } from './free-disk.ts';
import { reportVanished, writeHighWater } from './high-water.ts';
import { emptyLosses, type Losses, type LostSegment, recordLosses } from './losses.ts';
import { type PackLimits, type Surroundings, selectPack } from './pack-selection.ts';
import { PackShelf } from './pack-shelf.ts';
import type { PackHead, PackPart, PackRow } from './pack-table.ts';
import { Pins } from './pins.ts';
import { segmentRows } from './segment-rows.ts';

/** What one remote-write request asks to keep: samples of one tenant and the entries they need. */
export interface Append {
  tenant: string;
  columns: SampleColumns;
  newEntries?: { firstId: number; entries: Uint8Array[] };
}

export interface BufferOptions {
  dataDir: string;
  bytesMax: number;
  /** 0: no limit. */
  ageMaxMs: number;
  whenFull: 'reject' | 'drop_oldest';
  freeDiskBytesMin: number;
}

/** Why the buffer cannot take samples now; nothing of the group was kept. */
export type Unavailable = 'buffer_full' | 'disk_full' | 'disk_failing';

/** Row and page overhead of a segment, for the estimate before it is written. */
const ROW_BYTES = 160;
/** Segments evicted in one go, between two looks at what that has freed; or one pack. */
const EVICTED_AT_ONCE = 16;
/** Entries of a dead epoch deleted by one `housekeep`. */
const ENTRIES_DELETED_AT_ONCE = 10_000;
/** Free pages given back to the file system by one `housekeep`. */
const SHRUNK_PAGES = 64;

/**
 * The durable sample log and dictionary log of one agent, on SQLite.
 *
 * Order: the sample log of a tenant is its segments and packs by their ids, in the order in which
 * the samples were appended.
 * Durability: what `append` returned from survives `kill -9` and a power cut.
 * Loss: a segment leaves only by `acknowledge`, by a limit (counted in `losses`), set aside as
 * damaged (counted likewise), or into a pack, which leaves in the same ways. What waits for its
 * answer is pinned: no limit takes it away.
 */
export class Buffer {
  /** Drawn at every start: positions of this process can never be confused with others. */
  readonly run: bigint;
  readonly losses: Losses = emptyLosses();
  /** Highest segment id that earlier runs left; 0 for a new buffer. */
  readonly storedBefore: number;
  readonly #options: BufferOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #db: BufferDatabase;
  /** Of the epochs that are still referred to, oldest first; the last one takes new entries. */
  readonly #dictionaries: Dictionary[];
  /** Keys of epochs whose entries are being deleted. */
  readonly #dying: number[] = [];
  /** Answered for, yet still in the database. */
  readonly #unforgotten: { tenant: string; ranges: readonly PositionRange[] }[] = [];
  readonly #freeDisk: FreeDisk;
  readonly #highWaterPath: string;
  /** Last sequence of this run, by tenant. */
  readonly #heads = new Map<string, number>();
  readonly #backlog = new Map<string, number>();
  readonly #packs: PackShelf;
  readonly #pins = new Pins();

  /**
   * Opens or creates the buffer in `dataDir`.
   *
   * @throws DamagedBufferError; errors of SQLite when the files cannot be opened
   */
  constructor(
    options: BufferOptions,
    { clock, random, log }: { clock: Clock; random: Random; log: Log },
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#log = log;
    this.run = random.id64();
    mkdirSync(options.dataDir, { recursive: true });
    this.#freeDisk = new FreeDisk(options.dataDir, clock);
    this.#highWaterPath = join(options.dataDir, 'high-water.json');
    this.#db = new BufferDatabase(join(options.dataDir, 'buffer.db'), options.bytesMax);
    this.#dictionaries = this.#db.epochs().map((epoch) => new Dictionary(this.#db, epoch));
    if (this.#dictionaries.length === 0) this.openEpoch();
    for (const { tenant, samples } of this.#db.backlog()) this.#addBacklog(tenant, samples);
    const { intact, damaged } = this.#db.packs.heads();
    this.#packs = new PackShelf(intact);
    for (const { tenant, samples } of [...intact, ...damaged]) this.#addBacklog(tenant, samples);
    for (const pack of damaged) this.#setPackAside(pack);
    this.storedBefore = this.#db.lastSegmentId();
    this.losses.vanishedSegments = reportVanished(this.#highWaterPath, this.#db.heads(), log);
    this.#db.forgetHeads();
  }

  /** Of every epoch that a segment may name, oldest first. */
  get dictionaries(): readonly Dictionary[] {
    return this.#dictionaries;
  }

  /** The log that takes new entries. */
  get dictionary(): Dictionary {
    return this.#dictionaries.at(-1)!;
  }

  /** Begins an empty dictionary log; what is stored keeps referring to the one before. */
  openEpoch(): void {
    const epoch = this.#random.id64();
    const key = this.#db.addEpoch(epoch);
    this.#dictionaries.push(new Dictionary(this.#db, { key, epoch }));
  }

  /** Samples that wait, by tenant. */
  get backlog(): ReadonlyMap<string, number> {
    return this.#backlog;
  }

  /** Samples of a tenant that wait in segments, not in packs. */
  unpackedSamples(tenant: string): number {
    return (this.#backlog.get(tenant) ?? 0) - this.#packs.samples(tenant);
  }

  /** Packs of a tenant, oldest first. */
  packs(tenant: string): readonly PackHead[] {
    return this.#packs.ofTenant(tenant);
  }

  /**
   * Commits a group of appends: all of them are synced when this returns, or none was kept and the
   * answer says why. Samples of the same tenant share segments, in the order given.
   */
  append(group: readonly Append[]): Unavailable | undefined {
    for (const { newEntries } of group) {
      if (newEntries !== undefined) this.dictionary.take(newEntries);
    }
    const rows = segmentRows(group, this.#heads, {
      epoch: this.dictionary.key,
      run: hex(this.run),
      storedAt: this.#clock.now(),
    });
    return this.#onDisk(() => this.#makeRoom(rows) ?? this.#commit(rows));
  }

  #commit(rows: readonly SegmentRow[]): undefined {
    const committed = this.#db.transaction(() => {
      for (const row of rows) this.#db.addSegment(row);
      return this.dictionary.write();
    });
    committed();
    for (const { tenant, sequence, samples } of rows) {
      this.#heads.set(tenant, sequence);
      this.#addBacklog(tenant, samples);
    }
  }

  /** Runs `work`; a fault of the disk becomes the reason why nothing can be stored now. */
  #onDisk(work: () => Unavailable | undefined): Unavailable | undefined {
    try {
      return work();
    } catch (error) {
      if (!isDiskFault(error)) throw error;
      this.#log.error({ err: error }, 'cannot write to the buffer: check the disk of data_dir');
      return error.code === 'SQLITE_FULL' ? 'disk_full' : 'disk_failing';
    }
  }

  /** Says why `rows` do not fit, after dropping the oldest segments where that is wanted. */
  #makeRoom(rows: readonly SegmentRow[]): Unavailable | undefined {
    const { bytesMax, whenFull, freeDiskBytesMin } = this.#options;
    const rowBytes = rows.reduce((sum, row) => sum + row.body.length + ROW_BYTES, 0);
    const usedMax = bytesMax - rowBytes - this.dictionary.takenBytes;
    while (this.#db.usedBytes() > usedMax) {
      if (whenFull === 'reject') return 'buffer_full';
      const evicted = this.#evict('bytes', (_stored, weight) => weight < EVICTED_AT_ONCE);
      if (evicted === 0) return 'buffer_full';
    }
    return this.#freeDisk.bytes() < freeDiskBytesMin ? 'disk_full' : undefined;
  }

  /**
   * Evicts the oldest unpinned segments and packs while `wanted` says so; returns how many.
   * `weight` is what is taken so far, in segments: a pack may hold ten minutes of a tenant.
   */
  #evict(
    reason: 'age' | 'bytes',
    wanted: (stored: { storedAt: number }, weight: number) => boolean,
  ): number {
    const segments: SegmentHead[] = [];
    const packs: PackHead[] = [];
    for (const stored of this.#oldestFirst()) {
      if (!wanted(stored, segments.length + EVICTED_AT_ONCE * packs.length)) break;
      if ('positions' in stored) packs.push(stored);
      else segments.push(stored);
    }
    this.#db.transaction(() => {
      for (const { id } of segments) this.#db.removeSegment(id);
      for (const { key } of packs) this.#db.packs.remove(key);
    });
    for (const pack of packs) this.#packs.remove(pack);
    this.#lose(reason, [...segments, ...packs]);
    return segments.length + packs.length;
  }

  /** What is not pinned, over all tenants. */
  *#oldestFirst(): Generator<SegmentHead | PackHead> {
    const packs = this.#packs.all().filter(({ key }) => !this.#pins.holdsPack(key));
    for (const segment of this.#db.oldestSegments()) {
      while (packs.length > 0 && packs[0]!.id < segment.id) yield packs.shift()!;
      if (!this.#pins.holdsSegment(segment)) yield segment;
    }
    yield* packs;
  }

  #lose(reason: keyof Losses['samples'], lost: readonly LostSegment[]): void {
    for (const { tenant, samples } of lost) this.#addBacklog(tenant, -samples);
    recordLosses(this.losses, this.#log, reason, lost);
  }

  /**
   * The oldest segments of a tenant from id `from` on and before the first pack behind it: at least
   * one if there is any, then as many of the same epoch as one batch may hold. They stay pinned
   * until `unpin`. A damaged one is set aside and accounted for. None as long as the disk does not
   * let go of what was answered for.
   */
  read(tenant: string, samplesMax: number, from = 0): StoredSegment[] {
    if (!this.#isUpToDate()) return [];
    const pack = this.#packs.ofTenant(tenant).find(({ id }) => id >= from);
    const below = pack?.id ?? Number.MAX_SAFE_INTEGER;
    const stored = this.#db.segments(tenant, from, below);
    const { segments, damaged } = selectBatch(stored, samplesMax);
    for (const segment of damaged) this.#setAside(segment);
    this.#pins.pinSegments(tenant, segments);
    return segments;
  }

  /** Whether the tenant has a segment with an id below `id`. */
  hasSegmentBefore(tenant: string, id: number): boolean {
    const [first] = this.#db.segmentHeads(tenant, 0, 'ASC');
    return first !== undefined && first.id < id;
  }

  /** Whether the tenant has a segment with an id above `id`. */
  hasSegmentBehind(tenant: string, id: number): boolean {
    const [next] = this.#db.segmentHeads(tenant, id + 1, 'ASC');
    return next !== undefined;
  }

  /** Id of the first of the tenant's newest segments, those stored at `sinceMs` and later. */
  firstStoredSince(tenant: string, sinceMs: number): number {
    let first = this.#db.lastSegmentId() + 1;
    for (const { id, storedAt } of this.#db.segmentHeads(tenant, 0, 'DESC')) {
      if (storedAt < sinceMs) break;
      first = id;
    }
    return first;
  }

  /**
   * The log that ids of segments and packs refer to: looked up in another one they would put
   * samples under wrong labels.
   *
   * @param key as segments and packs name their epoch
   */
  dictionaryOfEpoch(key: number): Dictionary {
    const dictionary = this.#dictionaries.find((log) => log.key === key);
    assert(dictionary !== undefined, `samples of the forgotten epoch ${key}`);
    return dictionary;
  }

  unpin(tenant: string): void {
    this.#pins.pinSegments(tenant, []);
  }

  /**
   * The body of a pack, which stays pinned until `unpinPack`; undefined when it was damaged, is
   * gone, or as long as the disk does not let go of what was answered for.
   */
  readPack(pack: PackHead): Uint8Array | undefined {
    if (!this.#isUpToDate() || !this.#packs.has(pack)) return undefined;
    const body = this.#db.packs.body(pack.key);
    if (body === undefined) this.#setPackAside(pack);
    else this.#pins.pinPack(pack.key);
    return body;
  }

  unpinPack({ key }: PackHead): void {
    this.#pins.unpinPack(key);
  }

  /** Segments of a tenant that should become a pack now, oldest first; none as a rule. */
  packable(tenant: string, limits: PackLimits): SegmentHead[] {
    if (!this.#isUpToDate()) return [];
    const stored = this.#db.segmentHeads(tenant, 0, 'ASC');
    const packs = this.#packs.ofTenant(tenant);
    const around: Surroundings = {
      isPinned: (segment) => this.#pins.holdsSegment(segment),
      isPackBetween: (one, other) => packs.some(({ id }) => one.id < id && id < other.id),
    };
    return selectPack(stored, around, limits);
  }

  /** An intact segment that is still there; a damaged one is set aside and accounted for. */
  readSegment({ id }: SegmentHead): StoredSegment | undefined {
    const segment = this.#db.segment(id);
    if (segment === undefined || segment.isIntact) return segment;
    this.#setAside(segment);
    return undefined;
  }

  /**
   * Puts a pack in the place of the segments whose samples it holds. Not when one of them is gone
   * or about to be sent meanwhile: then nothing has changed.
   */
  storePack(segments: readonly SegmentHead[], pack: PackRow): boolean {
    const isThere = (segment: SegmentHead): boolean =>
      !this.#pins.holdsSegment(segment) && this.#db.hasSegment(segment.id);
    if (!this.#isUpToDate() || !segments.every(isThere)) return false;
    const unavailable = this.#onDisk(() => {
      const head = this.#db.transaction(() => {
        for (const { id } of segments) this.#db.removeSegment(id);
        return this.#db.packs.add(pack);
      });
      this.#packs.add(head);
      return undefined;
    });
    return unavailable === undefined;
  }

  /**
   * Puts others in the place of a pack: one with the same samples, or several with fewer each, which
   * have positions of their own: what was answered for of the old ones says nothing of them. Not
   * when the pack is gone.
   */
  replacePack(pack: PackHead, parts: readonly PackPart[]): boolean {
    if (!this.#packs.has(pack)) return false;
    const { tenant } = pack;
    let { firstSample } = pack;
    let sequence = this.#heads.get(tenant) ?? 0;
    const rows: PackRow[] = [];
    for (const part of parts) {
      if (parts.length > 1) sequence++;
      const own = { run: this.run, first: sequence, last: sequence };
      const positions = parts.length > 1 ? [own] : pack.positions;
      rows.push({ ...pack, ...part, firstSample, positions });
      firstSample += part.samples;
    }
    const unavailable = this.#onDisk(() => {
      const heads = this.#db.transaction(() => {
        this.#db.packs.remove(pack.key);
        this.#db.setHead(hex(this.run), tenant, sequence);
        return rows.map((row) => this.#db.packs.add(row));
      });
      this.#heads.set(tenant, sequence);
      this.#packs.remove(pack);
      for (const head of heads) this.#packs.add(head);
      return undefined;
    });
    return unavailable === undefined;
  }

  /** Keeps a segment that cannot be read for inspection, out of the way of the others. */
  #setAside(segment: Omit<StoredSegment, 'body'>): void {
    this.#onDisk(() => {
      this.#db.setAside(segment.id);
      this.#lose('damaged', [segment]);
      return undefined;
    });
  }

  #setPackAside(pack: PackHead): void {
    this.#onDisk(() => {
      this.#db.transaction(() => this.#db.packs.setAside(pack.key));
      this.#packs.remove(pack);
      this.#lose('damaged', [pack]);
      return undefined;
    });
  }

  /**
   * Forgets what the destination has answered for; returns the samples removed. Idempotent. On a
   * failing disk it is done later, and nothing is read before.
   */
  acknowledge(tenant: string, ranges: readonly PositionRange[]): number {
    this.#unforgotten.push({ tenant, ranges });
    return this.#forget();
  }

  /** Whether the database has nothing any more that was answered for. */
  #isUpToDate(): boolean {
    this.#forget();
    return this.#unforgotten.length === 0;
  }

  #forget(): number {
    let forgotten = 0;
    this.#onDisk(() => {
      for (let [next] = this.#unforgotten; next !== undefined; [next] = this.#unforgotten) {
        const { tenant, ranges } = next;
        const packs = this.#packs.coveredBy(tenant, ranges);
        const inSegments = this.#db.transaction(() => {
          for (const { key } of packs) this.#db.packs.remove(key);
          return ranges.reduce((sum, range) => sum + this.#db.removeRange(tenant, range), 0);
        });
        for (const pack of packs) this.#packs.remove(pack);
        const samples = packs.reduce((sum, pack) => sum + pack.samples, inSegments);
        this.#unforgotten.shift();
        if (samples > 0) this.#addBacklog(tenant, -samples);
        forgotten += samples;
      }
      return undefined;
    });
    return forgotten;
  }

  /** About once a second: the witness beside the database, the age limit, space given back. */
  housekeep(): void {
    const tenants = Object.fromEntries(this.#heads);
    writeHighWater(this.#highWaterPath, { run: hex(this.run), tenants });
    this.#onDisk(() => {
      this.#evictOld();
      this.#dropDeadEpoch();
      this.#db.shrink(SHRUNK_PAGES);
      return undefined;
    });
  }

  #evictOld(): void {
    const { ageMaxMs } = this.#options;
    if (ageMaxMs === 0) return;
    const storedBefore = this.#clock.now() - ageMaxMs;
    this.#evict('age', ({ storedAt }) => storedAt < storedBefore);
  }

  /** A log that no segment refers to any more goes bit by bit: it may have a million entries. */
  #dropDeadEpoch(): void {
    const [oldest] = this.#dictionaries;
    if (oldest !== undefined && oldest !== this.dictionary && !this.#isInUse(oldest)) {
      this.#dying.push(oldest.key);
      this.#dictionaries.shift();
    }
    const [key] = this.#dying;
    if (key === undefined) return;
    if (this.#db.removeEpoch(key, ENTRIES_DELETED_AT_ONCE) === 'gone') this.#dying.shift();
  }

  #isInUse({ key }: Dictionary): boolean {
    return this.#packs.all().some(({ epoch }) => epoch === key) || this.#db.isEpochInUse(key);
  }

  usedBytes(): number {
    return this.#db.usedBytes();
  }

  oldestTimestamp(): number | undefined {
    const [pack] = this.#packs.all();
    const segment = this.#db.oldestTimestamp();
    if (pack === undefined) return segment;
    return segment === undefined ? pack.oldest : Math.min(pack.oldest, segment);
  }

  close(): void {
    this.#db.close();
  }

  #addBacklog(tenant: string, samples: number): void {
    this.#backlog.set(tenant, (this.#backlog.get(tenant) ?? 0) + samples);
  }
}
