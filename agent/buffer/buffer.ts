import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import type { SampleColumns } from '../../proto/sample-columns.ts';
import { BufferDatabase, hex, type SegmentRow, type StoredSegment } from './database.ts';
import { Dictionary } from './dictionary.ts';
import { FreeDisk } from './free-disk.ts';
import { readHighWater, writeHighWater } from './high-water.ts';
import { emptyLosses, type Losses, recordLoss } from './losses.ts';
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
/** Segments evicted in one go, between two looks at what that has freed. */
const EVICTED_AT_ONCE = 16;
/**
 * What one batch may span. The hub writes a batch over several lanes at once: were one of them far
 * ahead, a destination that refuses samples an hour behind its newest would refuse the others'.
 */
const BATCH_SPAN_MAX_MS = 600_000;
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
  readonly #freeDisk: FreeDisk;
  readonly #highWaterPath: string;
  /** Last sequence of this run, by tenant. */
  readonly #heads = new Map<string, number>();
  readonly #backlog = new Map<string, number>();
  readonly #pinned = new Map<string, number>();

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
    for (const { tenant, samples } of this.#db.backlog()) this.#backlog.set(tenant, samples);
    this.storedBefore = this.#db.lastSegmentId();
    this.#reportVanished();
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
    return this.#makeRoom(rows) ?? this.#commit(rows);
  }

  #commit(rows: readonly SegmentRow[]): Unavailable | undefined {
    try {
      const committed = this.#db.transaction(() => {
        for (const row of rows) this.#db.addSegment(row);
        return this.dictionary.write();
      });
      committed();
    } catch (error) {
      if (!isDiskFault(error)) throw error;
      this.#log.error({ err: error }, 'cannot write to the buffer: check the disk of data_dir');
      return error.code === 'SQLITE_FULL' ? 'disk_full' : 'disk_failing';
    }
    for (const { tenant, sequence, samples } of rows) {
      this.#heads.set(tenant, sequence);
      this.#addBacklog(tenant, samples);
    }
    return undefined;
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
    this.#db.transaction(() => {
      for (const { id } of evicted) this.#db.removeSegment(id);
    });
    for (const segment of evicted) {
      this.#addBacklog(segment.tenant, -segment.samples);
      recordLoss(this.losses, this.#log, { reason, ...segment });
    }
    return evicted.length;
  }

  /**
   * The oldest segments of a tenant: at least one if there is any, then as many of the same epoch
   * as fit the limit and BATCH_SPAN_MAX_MS. They stay pinned until `unpin`. A damaged one is set aside and accounted for.
   */
  read(tenant: string, samplesMax: number): StoredSegment[] {
    const segments: StoredSegment[] = [];
    const damaged: StoredSegment[] = [];
    let samples = 0;
    let oldest = Number.POSITIVE_INFINITY;
    let newest = Number.NEGATIVE_INFINITY;
    for (const segment of this.#db.segments(tenant)) {
      if (!segment.isIntact) {
        damaged.push(segment);
        continue;
      }
      oldest = Math.min(oldest, segment.oldest);
      newest = Math.max(newest, segment.newest);
      const fits = samples + segment.samples <= samplesMax && newest - oldest <= BATCH_SPAN_MAX_MS;
      const { epoch } = segments[0] ?? segment;
      if (segments.length > 0 && (!fits || segment.epoch !== epoch)) break;
      samples += segment.samples;
      segments.push(segment);
      if (samples >= samplesMax) break;
    }
    for (const segment of damaged) this.#setAside(segment);
    const last = segments.at(-1);
    if (last !== undefined) this.#pinned.set(tenant, last.id);
    return segments;
  }

  /** The dictionary log that a tenant's oldest segment refers to. */
  dictionaryOf(tenant: string): Dictionary {
    const key = this.#db.oldestEpoch(tenant);
    return this.#dictionaries.find((dictionary) => dictionary.key === key) ?? this.dictionary;
  }

  unpin(tenant: string): void {
    this.#pinned.delete(tenant);
  }

  /** Keeps a segment that cannot be read for inspection, out of the way of the others. */
  #setAside(segment: StoredSegment): void {
    this.#db.setAside(segment.id);
    this.#addBacklog(segment.tenant, -segment.samples);
    recordLoss(this.losses, this.#log, { reason: 'damaged', ...segment });
  }

  /** Forgets what the destination has answered for; returns the samples removed. Idempotent. */
  acknowledge(tenant: string, ranges: readonly PositionRange[]): number {
    const samples = this.#db.transaction(() =>
      ranges.reduce((sum, range) => sum + this.#db.removeRange(tenant, range), 0),
    );
    if (samples > 0) this.#addBacklog(tenant, -samples);
    return samples;
  }

  /** About once a second: the witness beside the database, the age limit, space given back. */
  housekeep(): void {
    const tenants = Object.fromEntries(this.#heads);
    writeHighWater(this.#highWaterPath, { run: hex(this.run), tenants });
    const { ageMaxMs } = this.#options;
    if (ageMaxMs > 0) {
      const storedBefore = this.#clock.now() - ageMaxMs;
      this.#evict('age', ({ storedAt }) => storedAt < storedBefore);
    }
    this.#dropDeadEpoch();
    this.#db.shrink(SHRUNK_PAGES);
  }

  /** A log that no segment refers to any more goes bit by bit: it may have a million entries. */
  #dropDeadEpoch(): void {
    const [oldest] = this.#dictionaries;
    if (oldest === undefined || oldest === this.dictionary) return;
    if ((this.#db.oldestEpoch() ?? this.dictionary.key) <= oldest.key) return;
    const isGone = this.#db.removeEpoch(oldest.key, ENTRIES_DELETED_AT_ONCE) === 'gone';
    if (isGone) this.#dictionaries.shift();
  }

  usedBytes(): number {
    return this.#db.usedBytes();
  }

  oldestTimestamp(): number | undefined {
    return this.#db.oldestTimestamp();
  }

  close(): void {
    this.#db.close();
  }

  #addBacklog(tenant: string, samples: number): void {
    this.#backlog.set(tenant, (this.#backlog.get(tenant) ?? 0) + samples);
  }

  /** Compares what the last run said it had committed with what is there. */
  #reportVanished(): void {
    const witness = readHighWater(this.#highWaterPath);
    const heads = this.#db.heads().filter(({ run }) => run === witness?.run);
    for (const [tenant, last] of Object.entries(witness?.tenants ?? {})) {
      const found = heads.find((head) => head.tenant === tenant)?.last ?? 0;
      if (found >= last) continue;
      this.losses.vanishedSegments += last - found;
      this.#log.error(
        { tenant, run: witness?.run, firstMissing: found + 1, lastMissing: last },
        'committed segments have vanished from buffer.db: its write-ahead log was damaged, or an ' +
          'older copy of the file was put in place; the samples in between are lost unless they ' +
          'were delivered before',
      );
    }
    this.#db.forgetHeads();
  }
}

function isDiskFault(error: unknown): error is Error & { code: string } {
  return (
    error instanceof Error && 'code' in error && /^SQLITE_(FULL|IOERR)/.test(String(error.code))
  );
}
