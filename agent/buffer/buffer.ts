import { join } from 'node:path';
import { makeFolder } from '../../base/folders.ts';
import type { Random } from '../../base/random.ts';
import type { SampleColumns } from '../../proto/sample-columns.ts';
import type { BufferTools } from './buffer-tools.ts';
import { DamagedBufferError } from './damage.ts';
import { Dictionary } from './dictionary.ts';
import { DiscardingStore } from './discarding-store.ts';
import { isDiskFault } from './disk-fault.ts';
import type { Unavailable } from './disk-guard.ts';
import { FreeDisk } from './free-disk.ts';
import { hex } from './hex.ts';
import { HIGH_WATER_FILE } from './high-water.ts';
import { emptyLosses } from './losses.ts';
import { openStore } from './open-store.ts';
import { rescueOpenFiles } from './salvage/rescue-open-files.ts';
import { EVICTED_AT_ONCE } from './sample-store.ts';
import { segmentRows } from './segment-rows.ts';
import type { SegmentRow } from './segment-table.ts';
import { StorageDates } from './storage-dates.ts';
import { Witness } from './witness.ts';

/** What one remote-write request asks to keep: samples of one tenant and the entries they need. */
export interface Append {
  tenant: string;
  columns: SampleColumns;
  newEntries?: { firstId: number; entries: Uint8Array[] };
}

export interface BufferOptions {
  dataDir: string;
  bytesMax: number;
  /** Of these, for what is parked. */
  parkedBytesMax: number;
  /** 0: no limit. */
  ageMaxMs: number;
  whenFull: 'reject' | 'drop_oldest';
  freeDiskBytesMin: number;
}

/** Row and page overhead of a segment, for the estimate before it is written. */
const ROW_BYTES = 160;
/** Entries of a dead epoch deleted by one `housekeep`. */
const ENTRIES_DELETED_AT_ONCE = 10_000;
/** Free pages given back to the file system by one `housekeep`, and after packing. */
const SHRUNK_PAGES = 64;
const SHRUNK_PAGES_PACKED = 256;
/** Pages of files without a name that cannot be read for so long are lost. */
const READ_PATIENCE_MS = 600_000;

/**
 * The durable sample log and dictionary log of one agent, on SQLite.
 *
 * Durability: what `append` returned from survives `kill -9` and a power cut.
 * Loss: a segment leaves only by `acknowledge`, by a limit (counted in `losses`), at the operator's
 * word or set aside as damaged (counted likewise), or into a pack, which leaves in the same ways.
 * Damage: a buffer whose files turn out to be damaged or gone throws (`isDamage`), takes nothing
 * more, and is to be abandoned; the next one is opened from what can be read.
 */
export class Buffer extends DiscardingStore {
  /** Drawn at every start: positions of this process can never be confused with others. */
  readonly run: bigint;
  /** Highest segment id that earlier runs left; 0 for a new buffer. */
  readonly storedBefore: number;
  readonly #options: BufferOptions;
  readonly #dates: StorageDates;
  readonly #random: Random;
  /** Of the epochs that are still referred to, oldest first; the last one takes new entries. */
  readonly #dictionaries: Dictionary[];
  /** Keys of epochs whose entries are being deleted. */
  readonly #dying: number[] = [];
  readonly #freeDisk: FreeDisk;
  /** On the clock that never jumps. */
  #abandonedAtMs: number | undefined;

  /**
   * Opens or creates the buffer in `dataDir`; salvages what is there when it is damaged.
   *
   * @throws NoRoomError; errors of SQLite and the file system when the disk cannot be read or written
   */
  constructor(options: BufferOptions, tools: BufferTools) {
    const { clock, hubClock, random, log, losses = emptyLosses(), onDelay = () => {} } = tools;
    const { triedSinceMs } = tools;
    const { dataDir } = options;
    const run = random.id64();
    const salvageTools = { clock, random, log, losses, triedSinceMs };
    const store = openStore(dataDir, options, { ...salvageTools, onDelay });
    const witness = new Witness(join(dataDir, HIGH_WATER_FILE), hex(run), clock);
    super({ ...store, witness, losses, log, unforgotten: tools.unforgotten ?? [], clock });
    this.run = run;
    this.#options = options;
    this.parkedBytesMax = options.parkedBytesMax;
    this.#dates = new StorageDates(hubClock);
    this.#random = random;
    this.#freeDisk = new FreeDisk(dataDir, clock);
    this.#dictionaries = store.dictionaries;
    if (this.#dictionaries.length === 0) this.openEpoch();
    this.storedBefore = store.stock.lastId;
  }

  /** Of every epoch that a segment may name, oldest first. */
  get dictionaries(): readonly Dictionary[] {
    return this.#dictionaries;
  }

  /** The log that takes new entries. */
  get dictionary(): Dictionary {
    return this.#dictionaries.at(-1)!;
  }

  /**
   * The log that ids of segments and packs refer to: looked up in another one they would put
   * samples under wrong labels.
   *
   * @param key as segments and packs name their epoch
   * @throws DamagedBufferError
   */
  dictionaryOfEpoch(key: number): Dictionary {
    const dictionary = this.#dictionaries.find((log) => log.key === key);
    if (dictionary !== undefined) return dictionary;
    throw new DamagedBufferError(`samples of epoch ${key}, which is not there`);
  }

  /**
   * Begins an empty dictionary log; what is stored keeps referring to the one before. It is stored
   * with what is appended next, or by `housekeep`: a disk that takes nothing now puts it off.
   */
  openEpoch(): void {
    const key = (this.#dictionaries.at(-1)?.key ?? 0) + 1;
    const epoch = { key, epoch: this.#random.id64() };
    this.#dictionaries.push(new Dictionary(this.db, epoch, 'new'));
  }

  /**
   * Commits a group of appends: all of them are synced when this returns, or none was kept and the
   * answer says why. Samples of the same tenant share segments, in the order given.
   */
  append(group: readonly Append[]): Unavailable | undefined {
    for (const { newEntries } of group) {
      if (newEntries !== undefined) this.dictionary.take(newEntries);
    }
    const rows = segmentRows(group, this.witness.heads, {
      epoch: this.dictionary.key,
      run: hex(this.run),
      storedAt: this.#dates.date(),
    });
    return this.disk.run(() => this.#makeRoom(rows) ?? this.#commit(rows));
  }

  #commit(rows: readonly SegmentRow[]): undefined {
    let lastId = 0;
    const committed = this.db.transaction(() => {
      for (const row of rows) {
        this.db.segments.add(row);
        this.db.setHead(row.run, row.tenant, row.sequence);
      }
      lastId = this.db.lastSegmentId();
      return this.dictionary.write();
    });
    committed();
    this.witness.stored(rows);
    this.noteStored(lastId - rows.length + 1);
    for (const { tenant, samples } of rows) this.addBacklog(tenant, samples);
  }

  /** Says why `rows` do not fit, once what is parked was dropped, and the oldest if wanted. */
  #makeRoom(rows: readonly SegmentRow[]): Unavailable | undefined {
    const { bytesMax, whenFull, freeDiskBytesMin } = this.#options;
    const rowBytes = rows.reduce((sum, row) => sum + row.body.length + ROW_BYTES, 0);
    const usedMax = bytesMax - rowBytes - this.dictionary.takenBytes;
    const missing = (): number => this.db.usedBytes() - usedMax;
    // What was answered for makes room at no loss.
    if (missing() > 0 && !this.isUpToDate()) return 'buffer_full';
    while (missing() > 0) {
      if (this.evictParked(missing()) > 0) continue;
      if (whenFull === 'reject') return 'buffer_full';
      const evicted = this.evict('bytes', (_stored, weight) => weight < EVICTED_AT_ONCE);
      if (evicted === 0) return 'buffer_full';
    }
    return this.#freeDisk.bytes() < freeDiskBytesMin ? 'disk_full' : undefined;
  }

  /**
   * About once a second: the witness beside the database, a look at the files, the age limit, space
   * given back. What the disk does not take now is done the next time.
   *
   * @throws DamagedBufferError
   */
  housekeep(): void {
    this.witness.write();
    this.disk.run(() => {
      this.#evictOld();
      this.keepParkedLimit();
      // In this order: the database is never without an epoch.
      this.#storeNames();
      this.#dropDeadEpoch();
      this.db.shrink(SHRUNK_PAGES);
      return undefined;
    });
    if (this.disk.damage !== undefined) throw new DamagedBufferError(this.disk.damage);
  }

  /** After packing: gives what that has freed back to the file system. */
  compact(): void {
    this.disk.run(() => {
      this.db.shrink(SHRUNK_PAGES_PACKED);
      this.db.truncateLog();
      return undefined;
    });
  }

  #evictOld(): void {
    const { ageMaxMs } = this.#options;
    if (ageMaxMs === 0) return;
    const isTooOld = this.#dates.judge(ageMaxMs);
    if (isTooOld !== undefined) this.evict('age', isTooOld);
  }

  /** Epochs that were begun or renamed since the last time. */
  #storeNames(): void {
    const logs = this.#dictionaries.filter(({ isNameStored }) => !isNameStored);
    if (logs.length === 0) return;
    const stored = this.db.transaction(() => logs.map((log) => log.writeName()));
    for (const commit of stored) commit();
  }

  /** A log that no segment refers to any more goes bit by bit: it may have a million entries. */
  #dropDeadEpoch(): void {
    const [oldest] = this.#dictionaries;
    if (oldest !== undefined && oldest !== this.dictionary && !this.isEpochInUse(oldest.key)) {
      this.#dying.push(oldest.key);
      this.#dictionaries.shift();
    }
    const [key] = this.#dying;
    if (key === undefined) return;
    const what = this.db.transaction(() => this.db.logs.removeEpoch(key, ENTRIES_DELETED_AT_ONCE));
    if (what === 'gone') this.#dying.shift();
  }

  /** 0 while the files cannot be read. */
  usedBytes(): number {
    return this.disk.figure(0, () => this.db.usedBytes());
  }

  /** Whether an error comes from the disk or from damage, and so ends no more than a life. */
  isEndedBy(error: unknown): boolean {
    return this.disk.isDamagedBy(error) || isDiskFault(error);
  }

  /** @throws errors of the file system while the files cannot be closed, since nobody can tell */
  get isDamaged(): boolean {
    return (this.disk.damage ?? this.db.foreignChange()) !== undefined;
  }

  close(): void {
    this.db.close();
  }

  /**
   * Ends a buffer that is damaged: its files are set aside, and what only the open ones still hold
   * is copied. The next buffer in this folder takes over from there.
   *
   * @throws errors of the disk as long as it does not take what only the open files hold; then it is
   *   to be called again
   */
  abandon(): void {
    const { dataDir } = this.#options;
    this.#abandonedAtMs ??= this.clock.elapsedMs();
    const damage = this.disk.damage ?? this.db.foreignChange();
    makeFolder(dataDir);
    this.witness.write();
    rescueOpenFiles(dataDir, this.db, this.#dictionaries, this.witness.state, {
      damage: damage ?? 'a page of buffer.db is damaged',
      mayBeReadable: this.clock.elapsedMs() - this.#abandonedAtMs < READ_PATIENCE_MS,
      clock: this.clock,
      log: this.log,
      losses: this.losses,
    });
    this.db.close();
  }
}
