import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type HighWater, readHighWater } from '../high-water.ts';
import type { SegmentRow } from '../segment-table.ts';
import { BufferImage } from './buffer-image.ts';
import { type Position, positionsInOrder } from './positions.ts';
import { RescuedLog } from './rescued-log.ts';
import { waitsIn } from './salvage-losses.ts';
import { holdSnapshot, isInUse } from './sqlite-view.ts';

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
  /** In the order in which they were stored. */
  readonly positions: readonly Position[];
  readonly #logs = new Map<number, RescuedLog>();
  readonly #release: () => void;

  private constructor(folder: string) {
    this.folder = folder;
    this.isInUse = isInUse(folder);
    this.witness = readHighWater(join(folder, 'high-water.json'));
    // Where nobody writes SQLite is not asked: it would touch the index that processes share.
    this.#release = this.isInUse ? holdSnapshot(folder) : () => {};
    this.image = new BufferImage(folder);
    const known = typeof this.witness === 'string' ? undefined : this.witness;
    // Beside a running agent the witness is of another moment than the pages.
    this.positions = positionsInOrder(
      this.image.segments,
      (segment) => !this.isInUse && waitsIn(known, segment),
    );
  }

  /** Undefined when there is no buffer in the folder. */
  static open(folder: string): OfflineBuffer | undefined {
    const isThere = ['buffer.db', 'buffer.db-wal'].some((name) => existsSync(join(folder, name)));
    return isThere ? new OfflineBuffer(folder) : undefined;
  }

  /** The row of a position, undefined when it is damaged. */
  read({ rows }: Position): SegmentRow | undefined {
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
