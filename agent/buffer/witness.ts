import type { Clock } from '../../base/clock.ts';
import { hex } from './hex.ts';
import { type HighWater, HighWaterFile } from './high-water.ts';
import { WaitingLedger, type WaitingRange } from './waiting-ledger.ts';

/** With more tenants the file is too large to be written with every commit. */
const TENANTS_MAX = 100;

/** What is at one position. */
interface StoredPosition extends Omit<WaitingRange, 'first' | 'last'> {
  tenant: string;
  sequence: number;
}

/** Segments that leave the buffer; `samples` is what they hold together. */
export interface Removal extends Pick<WaitingRange, 'run' | 'first' | 'last' | 'samples'> {
  tenant: string;
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

/** The segments in a pack, range by range. */
export function removalsOfPack({
  tenant,
  positions,
}: {
  tenant: string;
  positions: readonly { run: bigint; first: number; last: number; counts: number[] }[];
}): Removal[] {
  return positions.map(({ run, first, last, counts }) => {
    return {
      tenant,
      run: hex(run),
      first,
      last,
      samples: counts.reduce((sum, one) => sum + one, 0),
    };
  });
}

/** Keeps the file beside the database that tells what is in it; see high-water.ts. */
export class Witness {
  readonly #file: HighWaterFile;
  /** Run that stores from now on, in hexadecimal. */
  readonly run: string;
  readonly #clock: Clock;
  #ledger = new WaitingLedger();
  /** Last sequence of this run, by tenant. */
  readonly #heads = new Map<string, number>();
  #removals = 0;

  constructor(path: string, run: string, clock: Clock) {
    this.#file = new HighWaterFile(path);
    this.run = run;
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

  /** Segments were committed, the last of their tenants: the file says so before anybody is told. */
  stored(rows: Iterable<StoredPosition>): void {
    for (const row of rows) {
      this.#heads.set(row.tenant, row.sequence);
      this.#add(row);
    }
    this.#writeIfSmall();
  }

  /** Something is there at a position that was given out before. */
  kept(row: StoredPosition): void {
    this.#add(row);
    this.#writeIfSmall();
  }

  #add({ tenant, run, sequence, samples, oldest, newest }: StoredPosition): void {
    this.#ledger.add(tenant, { run, first: sequence, last: sequence, samples, oldest, newest });
  }

  #writeIfSmall(): void {
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

  /** About once a second. */
  write(): void {
    this.#file.write(this.state);
    this.#ledger.seal();
  }

  #stateWith(ledger: WaitingLedger, removals: number): HighWater {
    return {
      run: this.run,
      writtenAt: this.#clock.now(),
      tenants: Object.fromEntries(this.#heads),
      removals,
      waiting: ledger.snapshot(),
    };
  }
}
