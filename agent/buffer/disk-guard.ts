import type { Log } from '../../base/log.ts';
import { isDamage } from './damage.ts';
import { isDiskFault } from './disk-fault.ts';

/** Why the buffer cannot take samples now; nothing of the group was kept. */
export type Unavailable = 'buffer_full' | 'disk_full' | 'disk_failing' | 'recovering';

/** Turns what can go wrong with a disk into a reason; remembers what does not pass. */
export class DiskGuard {
  readonly #log: Log;
  /** What is wrong with the files: nothing more is to be done with them. */
  damage: string | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Runs `work`; a fault of the disk becomes the reason why nothing can be stored now. */
  run(work: () => Unavailable | undefined): Unavailable | undefined {
    if (this.damage !== undefined) return 'recovering';
    try {
      return work();
    } catch (error) {
      if (isDamage(error)) {
        this.damage = (error as Error).message;
        return 'recovering';
      }
      if (!isDiskFault(error)) throw error;
      this.#log.error({ err: error }, 'cannot write to the buffer: check the disk of data_dir');
      return error.code === 'SQLITE_FULL' ? 'disk_full' : 'disk_failing';
    }
  }

  /** What `work` reads, undefined when the files are damaged. */
  read<T>(work: () => T): T | undefined {
    try {
      return this.damage === undefined ? work() : undefined;
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.damage = (error as Error).message;
      return undefined;
    }
  }
}
