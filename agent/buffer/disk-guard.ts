import type { Clock } from '../../base/clock.ts';
import { type BoundedLog, boundedLog, type Log } from '../../base/log.ts';
import { isDamage } from './damage.ts';
import { isDiskFault, isDiskFull } from './disk-fault.ts';

/** Why the buffer cannot take samples now; nothing of the group was kept. */
export type Unavailable = 'buffer_full' | 'disk_full' | 'disk_failing' | 'recovering';

const LINES_PER_MINUTE = 6;

export interface DiskGuardDeps {
  /**
   * What somebody else has done to the files, if anybody has.
   *
   * @throws errors of the file system while nobody can tell
   */
  foreignChange(): string | undefined;
  clock: Clock;
  log: Log;
}

/** Turns what can go wrong with a disk into a reason; remembers what does not pass. */
export class DiskGuard {
  readonly #foreignChange: () => string | undefined;
  readonly #log: BoundedLog;
  /** What is wrong with the files: nothing more is to be done with them. */
  #damage: string | undefined;

  constructor({ foreignChange, clock, log }: DiskGuardDeps) {
    this.#foreignChange = foreignChange;
    this.#log = boundedLog(log, { perMinute: LINES_PER_MINUTE }, clock);
  }

  get damage(): string | undefined {
    return this.#damage;
  }

  /**
   * Runs `work`, which writes; a fault of the disk becomes the reason why nothing can be stored now.
   * Before anything else it looks at the files: whatever fails in a folder that is gone, the open
   * files have to be rescued first.
   */
  run(work: () => Unavailable | undefined): Unavailable | undefined {
    if (this.#damage !== undefined) return 'recovering';
    try {
      this.#damage = this.#foreignChange();
      return this.#damage === undefined ? work() : 'recovering';
    } catch (error) {
      if (this.isDamagedBy(error)) return 'recovering';
      if (!isDiskFault(error)) throw error;
      const text = 'cannot write to the buffer: check the disk of data_dir';
      this.#log.error('write', { err: error }, text);
      return isDiskFull(error) ? 'disk_full' : 'disk_failing';
    }
  }

  /**
   * What `work` reads; `otherwise` as long as the disk does not give it.
   *
   * @throws errors of damage, which end the use of the files
   */
  read<T>(otherwise: T, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (this.isDamagedBy(error) || !isDiskFault(error)) throw error;
      this.#log.error('read', { err: error }, 'cannot read the buffer: check the disk of data_dir');
      return otherwise;
    }
  }

  /** The same for figures, which nobody asks the files for once they are damaged. */
  figure<T>(otherwise: T, work: () => T): T {
    if (this.#damage !== undefined) return otherwise;
    try {
      return this.read(otherwise, work);
    } catch (error) {
      if (this.#damage === undefined) throw error;
      return otherwise;
    }
  }

  /**
   * Whether an error comes from damage, which is remembered. In files that somebody else has changed
   * any statement may fail in any way.
   */
  isDamagedBy(error: unknown): boolean {
    if (isDamage(error)) this.#damage ??= (error as Error).message;
    else if (isSqlError(error)) this.#damage ??= this.#changeNow();
    return this.#damage !== undefined;
  }

  #changeNow(): string | undefined {
    try {
      return this.#foreignChange();
    } catch {
      return undefined;
    }
  }
}

function isSqlError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^SQLITE_/.test(String(error.code));
}
