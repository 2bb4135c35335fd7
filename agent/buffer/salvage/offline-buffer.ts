import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DecodeError } from '../../../proto/bytes.ts';
import { decodePack } from '../../../proto/pack.ts';
import type { SampleColumns } from '../../../proto/sample-columns.ts';
import { decodeSegment } from '../../../proto/segment.ts';
import { FrameError } from '../../../proto/zstd.ts';
import { HIGH_WATER_FILE, type HighWater, readHighWater } from '../high-water.ts';
import { BufferImage } from './buffer-image.ts';
import { type FoundPack, positionsOf } from './found-packs.ts';
import type { Position } from './positions.ts';
import { RescuedLog } from './rescued-log.ts';
import { waitsIn } from './salvage-losses.ts';
import { holdSnapshot, isInUse } from './sqlite-view.ts';
import { storedInOrder } from './stored-order.ts';
import { refuseNewer } from './stored-version.ts';

/** A segment or pack, as far as its row says; times in ms since the Unix epoch. */
export interface OfflineRow {
  tenant: string;
  samples: number;
  oldest: number;
  newest: number;
  kind: 'segment' | 'pack';
  /** The segments in it. */
  positions: { run: string; sequence: number; samples: number }[];
  stored: Position | FoundPack;
}

function rowOf(stored: Position | FoundPack): OfflineRow {
  const isPack = 'key' in stored;
  const { tenant, samples, oldest, newest } = isPack ? stored : stored.best;
  const positions = isPack ? positionsOf(stored) : [stored.best];
  return { tenant, samples, oldest, newest, kind: isPack ? 'pack' : 'segment', positions, stored };
}

/**
 * A buffer as it lies in a folder, read without changing a byte: healthy or damaged, beside a
 * running agent or after a salvage has set it aside.
 */
export class OfflineBuffer {
  readonly folder: string;
  readonly witness: HighWater | 'none' | 'unreadable';
  /** An agent is running on it: what is read here is one moment of it. */
  readonly isInUse: boolean;
  readonly image: BufferImage;
  /** Segments and packs in the order in which their samples were stored. */
  readonly rows: readonly OfflineRow[];
  readonly #logs = new Map<number, RescuedLog>();
  readonly #release: () => void;

  private constructor(folder: string) {
    this.folder = folder;
    this.isInUse = isInUse(folder);
    this.witness = readHighWater(join(folder, HIGH_WATER_FILE));
    // Where nobody writes SQLite is not asked: it would touch the index that processes share.
    this.#release = this.isInUse ? holdSnapshot(folder) : () => {};
    this.image = new BufferImage(folder);
    const known = typeof this.witness === 'string' ? undefined : this.witness;
    // Beside a running agent the witness is of another moment than the pages.
    const stored = storedInOrder(
      this.image,
      (position) => !this.isInUse && waitsIn(known, position),
    );
    this.rows = stored.map(rowOf);
  }

  /**
   * Undefined when there is no buffer in the folder.
   *
   * @throws NewerBufferError; errors of the file system
   */
  static open(folder: string): OfflineBuffer | undefined {
    const isThere = ['buffer.db', 'buffer.db-wal'].some((name) => existsSync(join(folder, name)));
    if (isThere) refuseNewer(folder);
    return isThere ? new OfflineBuffer(folder) : undefined;
  }

  /** Reads the samples of a row into `columns`; undefined when it is damaged. */
  read(
    { stored }: OfflineRow,
    columns: SampleColumns,
  ): { bytes: number; epoch: number } | undefined {
    const row = 'key' in stored ? this.image.readPack(stored) : this.#readSegment(stored);
    if (row === undefined) return undefined;
    columns.clear();
    try {
      if ('format' in row) {
        decodePack(row.body, { ...row, idsMax: this.log(row.epoch).idsMax }, columns);
      } else decodeSegment(row.body, row.samples, columns);
    } catch (error) {
      if (error instanceof DecodeError || error instanceof FrameError) return undefined;
      throw error;
    }
    return { bytes: row.body.length, epoch: row.epoch };
  }

  #readSegment({ rows }: Position) {
    for (const found of rows) {
      const row = this.image.read(found);
      if (row !== undefined) return row;
    }
    return undefined;
  }

  /** The dictionary log under an epoch's key. */
  log(key: number): RescuedLog {
    let log = this.#logs.get(key);
    if (log === undefined) {
      log = new RescuedLog(this.image.entries.get(key) ?? new Map());
      this.#logs.set(key, log);
    }
    return log;
  }

  close(): void {
    this.image.close();
    this.#release();
  }
}
