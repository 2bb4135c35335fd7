import { mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { CHAIN_START, extendChain } from '../../proto/hash-chain.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { encodeSegment, SEGMENT_SAMPLES_MAX } from '../../proto/segment.ts';
import { BufferDatabase, hex, type SegmentRow, type StoredSegment } from './database.ts';
import { readHighWater, writeHighWater } from './high-water.ts';
import { emptyLosses, type Losses, recordLoss } from './losses.ts';

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

/** How long a reading of the free disk space holds. */
const DISK_READING_MS = 1000;
/** Row and page overhead of a segment or entry, for the estimate before it is written. */
const ROW_BYTES = 160;

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
  readonly #log: Log;
  readonly #db: BufferDatabase;
  readonly #epochKey: number;
  #epoch: bigint;
  #dictionaryLength = 0;
  #dictionaryHash = CHAIN_START;
  /** Entries whose commit failed: the ids are in use, so they go with the next commit. */
  #unwrittenEntries: Uint8Array[] = [];
  readonly #heads = new Map<string, number>();
  readonly #backlog = new Map<string, number>();
  readonly #pinned = new Map<string, number>();
  #freeDisk = { readAtMs: Number.NEGATIVE_INFINITY, bytes: 0 };

  constructor(
    options: BufferOptions,
    { clock, random, log }: { clock: Clock; random: Random; log: Log },
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.run = random.id64();
    mkdirSync(options.dataDir, { recursive: true });
    this.#db = new BufferDatabase(join(options.dataDir, 'buffer.db'), options.bytesMax);
    const current = this.#db.currentEpoch();
    this.#epoch = current?.epoch ?? random.id64();
    this.#epochKey = current?.key ?? this.#db.addEpoch(this.#epoch);
    this.#verifyDictionary();
    for (const { tenant, samples } of this.#db.backlog()) this.#backlog.set(tenant, samples);
    this.storedBefore = this.#db.lastSegmentId();
    this.#reportVanished();
  }

  get epoch(): bigint {
    return this.#epoch;
  }

  get dictionaryLength(): number {
    return this.#dictionaryLength;
  }

  /** Samples that wait, by tenant. */
  get backlog(): ReadonlyMap<string, number> {
    return this.#backlog;
  }

  /**
   * Commits a group of appends: all of them are synced when this returns, or none was kept.
   * Samples of the same tenant share segments, in the order given.
   */
  append(group: readonly Append[]): Unavailable | undefined {
    for (const { newEntries } of group) this.#takeEntries(newEntries);
    const rows = this.#segmentsOf(group);
    const needed = rows.reduce((sum, row) => sum + row.body.length + ROW_BYTES, 0);
    const refusal = this.#makeRoom(needed);
    if (refusal !== undefined) return refusal;
    try {
      this.#commit(rows);
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

  #takeEntries(newEntries: Append['newEntries']): void {
    if (newEntries === undefined) return;
    const expected = this.#dictionaryLength + this.#unwrittenEntries.length;
    assert(newEntries.firstId === expected, 'dictionary entries out of order');
    this.#unwrittenEntries.push(...newEntries.entries);
  }

  #segmentsOf(group: readonly Append[]): SegmentRow[] {
    const byTenant = new Map<string, SampleColumns[]>();
    for (const { tenant, columns } of group) {
      if (columns.count === 0) continue;
      const ofTenant = byTenant.get(tenant);
      if (ofTenant === undefined) byTenant.set(tenant, [columns]);
      else ofTenant.push(columns);
    }
    const rows: SegmentRow[] = [];
    for (const [tenant, parts] of byTenant) {
      let sequence = this.#heads.get(tenant) ?? 0;
      for (const columns of splitIntoSegments(parts)) {
        sequence++;
        rows.push(this.#segmentRow(tenant, sequence, columns));
      }
    }
    return rows;
  }

  #segmentRow(tenant: string, sequence: number, columns: SampleColumns): SegmentRow {
    let oldest = Number.POSITIVE_INFINITY;
    let newest = Number.NEGATIVE_INFINITY;
    for (let row = 0; row < columns.count; row++) {
      const timestamp = columns.timestamps[row]!;
      if (timestamp < oldest) oldest = timestamp;
      if (timestamp > newest) newest = timestamp;
    }
    return {
      tenant,
      epoch: this.#epochKey,
      run: hex(this.run),
      sequence,
      storedAt: this.#clock.now(),
      samples: columns.count,
      oldest,
      newest,
      body: encodeSegment(columns),
    };
  }

  #commit(rows: readonly SegmentRow[]): void {
    const entries = this.#unwrittenEntries;
    let hash = this.#dictionaryHash;
    this.#db.transaction(() => {
      entries.forEach((entry, index) => {
        hash = extendChain(hash, entry);
        this.#db.addEntry(this.#epochKey, this.#dictionaryLength + index, hash, entry);
      });
      for (const row of rows) this.#db.addSegment(row);
    });
    this.#dictionaryLength += entries.length;
    this.#dictionaryHash = hash;
    this.#unwrittenEntries = [];
  }

  /** Says why `needed` bytes do not fit, after dropping the oldest segments where that is wanted. */
  #makeRoom(needed: number): Unavailable | undefined {
    const { bytesMax, whenFull, freeDiskBytesMin } = this.#options;
    const entryBytes = this.#unwrittenEntries.reduce((sum, e) => sum + e.length + ROW_BYTES, 0);
    const missing = this.#db.usedBytes() + needed + entryBytes - bytesMax;
    if (missing > 0) {
      if (whenFull === 'reject' || !this.#dropOldest(missing)) return 'buffer_full';
    }
    return this.#freeDiskBytes() < freeDiskBytesMin ? 'disk_full' : undefined;
  }

  /** Evicts whole segments, oldest first, until about `bytes` are free; false: not enough there. */
  #dropOldest(bytes: number): boolean {
    const usedMax = this.#db.usedBytes() - bytes;
    const batchSize = 16;
    while (this.#db.usedBytes() > usedMax) {
      const isDone = this.#evict('bytes', (_segment, index) => index < batchSize) === 0;
      if (isDone) return false;
    }
    return true;
  }

  /** Evicts what is older than the operator's limit; for idle moments. */
  evictOld(): void {
    if (this.#options.ageMaxMs === 0) return;
    const storedBefore = this.#clock.now() - this.#options.ageMaxMs;
    this.#evict('age', ({ storedAt }) => storedAt < storedBefore);
  }

  /** Evicts the oldest unpinned segments as long as `wanted` says so; returns how many. */
  #evict(
    reason: 'age' | 'bytes',
    wanted: (segment: { storedAt: number }, index: number) => boolean,
  ): number {
    const evicted: {
      id: number;
      tenant: string;
      samples: number;
      oldest: number;
      newest: number;
    }[] = [];
    for (const segment of this.#db.oldestSegments()) {
      if (segment.id <= (this.#pinned.get(segment.tenant) ?? 0)) continue;
      if (!wanted(segment, evicted.length)) break;
      evicted.push(segment);
    }
    this.#db.transaction(() => {
      for (const { id } of evicted) this.#db.removeSegment(id);
    });
    for (const { tenant, samples, oldest, newest } of evicted) {
      this.#addBacklog(tenant, -samples);
      recordLoss(this.losses, this.#log, { reason, tenant, samples, oldest, newest });
    }
    return evicted.length;
  }

  #freeDiskBytes(): number {
    const nowMs = this.#clock.now();
    if (Math.abs(nowMs - this.#freeDisk.readAtMs) >= DISK_READING_MS) {
      const { bavail, bsize } = statfsSync(this.#options.dataDir);
      this.#freeDisk = { readAtMs: nowMs, bytes: bavail * bsize };
    }
    return this.#freeDisk.bytes;
  }

  /**
   * The oldest segments of a tenant: at least one if there is any, then as many as fit the limit.
   * They stay pinned until `unpin`. A damaged one is set aside and accounted for.
   */
  read(tenant: string, samplesMax: number): StoredSegment[] {
    const segments: StoredSegment[] = [];
    const damaged: StoredSegment[] = [];
    let samples = 0;
    for (const segment of this.#db.segments(tenant)) {
      if (!segment.isIntact) {
        damaged.push(segment);
        continue;
      }
      if (segments.length > 0 && samples + segment.samples > samplesMax) break;
      samples += segment.samples;
      segments.push(segment);
      if (samples >= samplesMax) break;
    }
    for (const segment of damaged) this.setAside(segment);
    const last = segments.at(-1);
    if (last !== undefined) this.#pinned.set(tenant, last.id);
    return segments;
  }

  unpin(tenant: string): void {
    this.#pinned.delete(tenant);
  }

  /** Keeps a segment that cannot be read for inspection, out of the way of the others. */
  setAside(segment: StoredSegment): void {
    this.#db.setAside(segment.id);
    this.#addBacklog(segment.tenant, -segment.samples);
    recordLoss(this.losses, this.#log, { reason: 'damaged', ...segment });
  }

  /**
   * Forgets what the destination has answered for, and notes how much of the dictionary the hub
   * holds. Idempotent. Returns the samples it removed.
   */
  acknowledge(tenant: string, ranges: readonly PositionRange[], hub: HubOffset): number {
    let samples = 0;
    this.#db.transaction(() => {
      for (const range of ranges) samples += this.#db.removeRange(tenant, range).samples;
      if (hub.offset !== this.acknowledgedOffset(hub.hub)) {
        this.#db.setAcknowledgedOffset(hub.hub, this.#epochKey, hub.offset);
      }
    });
    this.#addBacklog(tenant, -samples);
    return samples;
  }

  /** Entries of the current epoch that a hub has said to hold. */
  acknowledgedOffset(hub: bigint): number {
    return this.#db.acknowledgedOffset(hub, this.#epochKey);
  }

  setAcknowledgedOffset(hub: bigint, offset: number): void {
    this.#db.setAcknowledgedOffset(hub, this.#epochKey, offset);
  }

  /** Chain hash of the dictionary log after its first `offset` entries, undefined beyond its end. */
  chainHash(offset: number): bigint | undefined {
    if (offset === 0) return CHAIN_START;
    return this.#db.entryHash(this.#epochKey, offset - 1);
  }

  /** Entries of the dictionary log from id `from` on. */
  *entries(from = 0): Generator<Uint8Array> {
    for (const { entry } of this.#db.entries(this.#epochKey, from)) yield entry;
  }

  /**
   * Gives the dictionary log a new name because a hub knows another log under the old one. The ids
   * keep their meaning, so no segment is touched; every hub gets the whole log again.
   */
  renameEpoch(random: Random): void {
    const epoch = random.id64();
    this.#db.renameEpoch(this.#epochKey, epoch);
    this.#epoch = epoch;
  }

  /** Once a second: the witness beside the database, and space given back to the disk. */
  housekeep(): void {
    const tenants = Object.fromEntries(this.#heads);
    writeHighWater(this.#highWaterPath, { run: hex(this.run), tenants });
    this.evictOld();
    const idlePages = 64;
    this.#db.shrink(idlePages);
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

  get #highWaterPath(): string {
    return join(this.#options.dataDir, 'high-water.json');
  }

  #addBacklog(tenant: string, samples: number): void {
    this.#backlog.set(tenant, (this.#backlog.get(tenant) ?? 0) + samples);
  }

  #verifyDictionary(): void {
    for (const { hash, entry } of this.#db.entries(this.#epochKey, 0)) {
      this.#dictionaryHash = extendChain(this.#dictionaryHash, entry);
      if (hash !== this.#dictionaryHash) {
        throw new DamagedBufferError(
          `the dictionary in ${this.#options.dataDir}/buffer.db is damaged at entry ` +
            `${this.#dictionaryLength}: move the folder away and start again, and keep it: ` +
            'its samples can still be read',
        );
      }
      this.#dictionaryLength++;
    }
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

export interface HubOffset {
  hub: bigint;
  /** Entries of the dictionary log that the hub holds. */
  offset: number;
}

/** The buffer's files are not what this agent wrote; the message says what to do. */
export class DamagedBufferError extends Error {
  override readonly name = 'DamagedBufferError';
}

/** Joins parts in order and cuts them where a segment is full. */
function* splitIntoSegments(parts: readonly SampleColumns[]): Generator<SampleColumns> {
  let columns = new SampleColumns();
  for (const part of parts) {
    let from = 0;
    while (from < part.count) {
      const to = Math.min(part.count, from + SEGMENT_SAMPLES_MAX - columns.count);
      columns.appendRows(part, from, to);
      from = to;
      if (columns.count === SEGMENT_SAMPLES_MAX) {
        yield columns;
        columns = new SampleColumns();
      }
    }
  }
  if (columns.count > 0) yield columns;
}

function isDiskFault(error: unknown): error is Error & { code: string } {
  return (
    error instanceof Error && 'code' in error && /^SQLITE_(FULL|IOERR)/.test(String(error.code))
  );
}
