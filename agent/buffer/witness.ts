import type { Clock } from '../../base/clock.ts';
import { type HighWater, HighWaterFile } from './high-water.ts';
import type { LostSegment } from './losses.ts';
import { WaitingLedger, type WaitingRange } from './waiting-ledger.ts';

/** With more tenants the file is too large to be written with every commit. */
const TENANTS_MAX = 100;

/** Segments that leave the buffer; `samples` is what they hold together. */
export interface Removal extends Pick<WaitingRange, 'run' | 'first' | 'last' | 'samples'> {
  tenant: string;
}

/** A segment that was committed. */
interface Stored extends Omit<WaitingRange, 'first' | 'last'> {
  tenant: string;
  sequence: number;
}

export function removalOf(segment: {
  tenant: string;
  run: string;
  sequence: number;
  samples: number;
}): Removal {
  const { tenant, run, sequence, samples } = segment;
  return { tenant, run, first: sequence, last: sequence, samples };
}

/** Keeps the file beside the database that tells what is in it; see high-water.ts. */
export class Witness {
  readonly #file: HighWaterFile;
  readonly #run: string;
  readonly #clock: Clock;
  #ledger = new WaitingLedger();
  /** Last sequence of this run, by tenant. */
  readonly #heads = new Map<string, number>();
  #removals = 0;

  /** @param run that stores from now on, in hexadecimal */
  constructor(path: string, run: string, clock: Clock) {
    this.#file = new HighWaterFile(path);
    this.#run = run;
    this.#clock = clock;
  }

  /** Last sequence of this run, by tenant. */
  get heads(): ReadonlyMap<string, number> {
    return this.#heads;
  }

  get state(): HighWater {
    return this.#stateWith(this.#ledger, this.#removals);
  }

  /** What earlier runs have left. */
  found(waiting: Iterable<WaitingRange & { tenant: string }>): void {
    for (const { tenant, ...range } of waiting) this.#ledger.add(tenant, range);
    this.#ledger.seal();
  }

  /** Segments were committed: the file says so before anybody is told. */
  stored(rows: Iterable<Stored>): void {
    for (const { tenant, run, sequence, samples, oldest, newest } of rows) {
      this.#heads.set(tenant, sequence);
      this.#ledger.add(tenant, { run, first: sequence, last: sequence, samples, oldest, newest });
    }
    if (this.#ledger.size <= TENANTS_MAX) this.#file.write(this.state);
  }

  /**
   * Does `work`, which removes segments, and gives it the number of the removal to commit with it.
   * The file says so first: what a crash in between leaves is in the database and not in the file,
   * which means nothing; the other way round it would look lost.
   */
  removing(removals: readonly Removal[], work: (number: number) => void): void {
    const ledger = this.#ledger.copy();
    for (const { tenant, samples, ...range } of removals) ledger.remove(tenant, range, samples);
    const number = this.#removals + 1;
    if (ledger.size <= TENANTS_MAX) this.#file.write(this.#stateWith(ledger, number));
    work(number);
    this.#ledger = ledger;
    this.#removals = number;
  }

  /** What a damaged row has held, in times that do not come from itself. */
  lostWith({ tenant, run, sequence, samples, oldest, newest }: Stored): LostSegment {
    const range = this.#ledger.rangeOf(tenant, { run, sequence });
    const own = { oldest, newest };
    if (range === undefined) return { tenant, samples, ...own };
    const fits = range.oldest <= oldest && newest <= range.newest;
    const likely = fits ? { likely: own } : {};
    return { tenant, samples, oldest: range.oldest, newest: range.newest, ...likely };
  }

  /** About once a second. */
  write(): void {
    this.#file.write(this.state);
    this.#ledger.seal();
  }

  #stateWith(ledger: WaitingLedger, removals: number): HighWater {
    return {
      run: this.#run,
      writtenAt: this.#clock.now(),
      tenants: Object.fromEntries(this.#heads),
      removals,
      waiting: ledger.snapshot(),
    };
  }
}
