import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import type { SampleColumns } from '../../proto/sample-columns.ts';
import { selectBatch } from './batch-selection.ts';
import type { Answered, BufferTools } from './buffer-tools.ts';
import { DamagedBufferError } from './damage.ts';
import { type BufferDatabase, hex, type SegmentRow, type StoredSegment } from './database.ts';
import { Dictionary } from './dictionary.ts';
import { DiskGuard, type Unavailable } from './disk-guard.ts';
import { FreeDisk } from './free-disk.ts';
import { emptyLosses, type Losses, recordLosses } from './losses.ts';
import { openStore } from './open-store.ts';
import { rescueOpenFiles } from './salvage/rescue-open-files.ts';
import { segmentRows } from './segment-rows.ts';
import { takeStock } from './take-stock.ts';
import { type Removal, removalOf, Witness } from './witness.ts';

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

/** Row and page overhead of a segment, for the estimate before it is written. */
const ROW_BYTES = 160;
/** Segments evicted in one go, between two looks at what that has freed. */
const EVICTED_AT_ONCE = 16;
/** Entries of a dead epoch deleted by one `housekeep`. */
const ENTRIES_DELETED_AT_ONCE = 10_000;
/** Free pages given back to the file system by one `housekeep`. */
const SHRUNK_PAGES = 64;

/**
 * The durable sample log and dictionary log of one agent, on SQLite.
 *
 * Order: segments of a tenant come back in the order in which they were appended.
 * Durability: what `append` returned from survives `kill -9` and a power cut.
 * Loss: a segment leaves only by `acknowledge`, by a limit (counted in `losses`), or set aside as
 * damaged (counted likewise). Segments in a batch that waits for its answer are pinned: no limit
 * takes them away.
 * Damage: a buffer whose files turn out to be damaged or gone throws (`isDamage`), takes nothing
 * more, and is to be abandoned; the next one is opened from what can be read.
 */
export class Buffer {
  /** Drawn at every start: positions of this process can never be confused with others. */
  readonly run: bigint;
  readonly losses: Losses;
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
  readonly #unforgotten: Answered[];
  readonly #freeDisk: FreeDisk;
  readonly #witness: Witness;
  readonly #backlog = new Map<string, number>();
  readonly #pinned = new Map<string, number>();
  readonly #disk: DiskGuard;

  /**
   * Opens or creates the buffer in `dataDir`; salvages what is there when it is damaged.
   *
   * @throws errors of SQLite and the file system when the disk cannot be read or written
   */
  constructor(options: BufferOptions, tools: BufferTools) {
    const { clock, random, log, losses = emptyLosses(), onDelay = () => {} } = tools;
    this.#unforgotten = [...(tools.unforgotten ?? [])];
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#log = log;
    this.run = random.id64();
    this.losses = losses;
    this.#disk = new DiskGuard(log);
    this.#freeDisk = new FreeDisk(options.dataDir, clock);
    const store = openStore(options.dataDir, options, { clock, random, log, losses, onDelay });
    this.#db = store.db;
    this.#dictionaries = store.dictionaries;
    if (this.#dictionaries.length === 0) this.openEpoch();
    const highWaterPath = join(options.dataDir, 'high-water.json');
    takeStock(this.#db, highWaterPath, losses, log);
    this.#db.forgetHeads();
    const waiting = this.#db.waiting();
    for (const { tenant, samples } of waiting) this.#addBacklog(tenant, samples);
    this.#witness = new Witness(highWaterPath, hex(this.run), clock);
    this.#witness.found(waiting);
    this.storedBefore = this.#db.lastSegmentId();
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

  /** Answered for, yet still in the database. */
  get unforgotten(): readonly Answered[] {
    return this.#unforgotten;
  }

  /** Samples that wait, by tenant. */
  get backlog(): ReadonlyMap<string, number> {
    return this.#backlog;
  }

  /**
   * Commits a group of appends: all of them are synced when this returns, or none was kept and the
   * answer says why. Samples of the same tenant share segments, in the order given.
   */
  append(group: readonly Append[]): Unavailable | undefined {
    for (const { newEntries } of group) {
      if (newEntries !== undefined) this.dictionary.take(newEntries);
    }
    const rows = segmentRows(group, this.#witness.heads, {
      epoch: this.dictionary.key,
      run: hex(this.run),
      storedAt: this.#clock.now(),
    });
    return this.#disk.run(() => this.#makeRoom(rows) ?? this.#commit(rows));
  }

  #commit(rows: readonly SegmentRow[]): undefined {
    const committed = this.#db.transaction(() => {
      for (const row of rows) this.#db.addSegment(row);
      return this.dictionary.write();
    });
    committed();
    this.#witness.stored(rows);
    for (const { tenant, samples } of rows) this.#addBacklog(tenant, samples);
  }

  /** Says why `rows` do not fit, after dropping the oldest segments where that is wanted. */
  #makeRoom(rows: readonly SegmentRow[]): Unavailable | undefined {
    const { bytesMax, whenFull, freeDiskBytesMin } = this.#options;
    const rowBytes = rows.reduce((sum, row) => sum + row.body.length + ROW_BYTES, 0);
    const usedMax = bytesMax - rowBytes - this.dictionary.takenBytes;
    while (this.#db.usedBytes() > usedMax) {
      if (whenFull === 'reject') return 'buffer_full';
      const evicted = this.#evict('bytes', (_segment, index) => index < EVICTED_AT_ONCE);
      if (evicted === 0) return 'buffer_full';
    }
    return this.#freeDisk.bytes() < freeDiskBytesMin ? 'disk_full' : undefined;
  }

  /** Evicts the oldest unpinned segments as long as `wanted` says so; returns how many. */
  #evict(
    reason: 'age' | 'bytes',
    wanted: (segment: { storedAt: number }, index: number) => boolean,
  ): number {
    const evicted: Omit<StoredSegment, 'body' | 'isIntact'>[] = [];
    for (const segment of this.#db.oldestSegments()) {
      if (segment.id <= (this.#pinned.get(segment.tenant) ?? 0)) continue;
      if (!wanted(segment, evicted.length)) break;
      evicted.push(segment);
    }
    this.#remove(evicted.map(removalOf), () => {
      for (const { id } of evicted) this.#db.removeSegment(id);
    });
    for (const { tenant, samples } of evicted) this.#addBacklog(tenant, -samples);
    recordLosses(this.losses, this.#log, reason, evicted);
    return evicted.length;
  }

  #remove(removals: readonly Removal[], work: () => void): void {
    if (removals.length === 0) return;
    this.#witness.removing(removals, (number) =>
      this.#db.transaction(() => {
        work();
        this.#db.setRemovals(hex(this.run), number);
      }),
    );
  }

  /**
   * The oldest segments of a tenant: at least one if there is any, then as many of the same epoch
   * as one batch may hold. They stay pinned until `unpin`. A damaged one is set
   * aside and accounted for. None as long as the disk does not let go of what was answered for.
   */
  read(tenant: string, samplesMax: number): StoredSegment[] {
    this.#forget();
    if (this.#unforgotten.length > 0) return [];
    const { segments, damaged } = selectBatch(this.#db.segments(tenant), samplesMax);
    for (const segment of damaged) this.#setAside(segment);
    if (segments.length + damaged.length === 0 && (this.#backlog.get(tenant) ?? 0) > 0) {
      throw new DamagedBufferError('segments that must be there are not found');
    }
    const last = segments.at(-1);
    if (last !== undefined) this.#pinned.set(tenant, last.id);
    return segments;
  }

  /**
   * The dictionary log that a tenant's oldest segment refers to: the oldest intact one, since ids
   * looked up in another log would put samples under wrong labels.
   */
  dictionaryOf(tenant: string): Dictionary {
    const [oldest] = this.read(tenant, 1);
    this.unpin(tenant);
    if (oldest === undefined) return this.dictionary;
    const dictionary = this.#dictionaries.find(({ key }) => key === oldest.epoch);
    if (dictionary !== undefined) return dictionary;
    throw new DamagedBufferError(`a segment of epoch ${oldest.epoch}, which is not there`);
  }

  unpin(tenant: string): void {
    this.#pinned.delete(tenant);
  }

  /** Keeps a segment that cannot be read for inspection, out of the way of the others. */
  #setAside(segment: Omit<StoredSegment, 'body'>): void {
    this.#disk.run(() => {
      const lost = this.#witness.lostWith(segment);
      this.#remove([removalOf(segment)], () => this.#db.setAside(segment.id));
      this.#addBacklog(segment.tenant, -segment.samples);
      recordLosses(this.losses, this.#log, 'damaged', [lost]);
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

  #forget(): number {
    let forgotten = 0;
    this.#disk.run(() => {
      for (let [next] = this.#unforgotten; next !== undefined; [next] = this.#unforgotten) {
        const { tenant, ranges } = next;
        const removals = this.#db.removalsIn(tenant, ranges);
        this.#remove(removals, () => {
          for (const removal of removals) this.#db.removeRange(removal);
        });
        this.#unforgotten.shift();
        const samples = removals.reduce((sum, removal) => sum + removal.samples, 0);
        if (samples > 0) this.#addBacklog(tenant, -samples);
        forgotten += samples;
      }
      return undefined;
    });
    return forgotten;
  }

  /**
   * About once a second: the witness beside the database, a look at the files, the age limit, space
   * given back.
   *
   * @throws DamagedBufferError
   */
  housekeep(): void {
    this.#witness.write();
    this.#disk.damage ??= this.#db.foreignChange();
    if (this.#disk.damage !== undefined) throw new DamagedBufferError(this.#disk.damage);
    this.#disk.run(() => {
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
    if (oldest !== undefined && oldest !== this.dictionary && !this.#db.isEpochInUse(oldest.key)) {
      this.#dying.push(oldest.key);
      this.#dictionaries.shift();
    }
    const [key] = this.#dying;
    if (key === undefined) return;
    if (this.#db.removeEpoch(key, ENTRIES_DELETED_AT_ONCE) === 'gone') this.#dying.shift();
  }

  /** 0 while the files cannot be read. */
  usedBytes(): number {
    return this.#disk.read(() => this.#db.usedBytes()) ?? 0;
  }

  oldestTimestamp(): number | undefined {
    return this.#disk.read(() => this.#db.oldestTimestamp());
  }

  close(): void {
    this.#db.close();
  }

  /**
   * Ends a buffer that is damaged: its files are set aside, and what only the open ones still hold
   * is copied. The next buffer in this folder takes over from there.
   *
   * @throws errors of the file system; then it can be called again
   */
  abandon(): void {
    const { dataDir } = this.#options;
    this.#witness.write();
    rescueOpenFiles(dataDir, this.#db, this.#dictionaries, this.#witness.state, {
      damage: this.#disk.damage ?? 'a page of buffer.db is damaged',
      clock: this.#clock,
      log: this.#log,
      losses: this.losses,
    });
    this.#db.close();
  }

  #addBacklog(tenant: string, samples: number): void {
    this.#backlog.set(tenant, (this.#backlog.get(tenant) ?? 0) + samples);
  }
}
