import type { Clock } from '../../base/clock.ts';
import { hex } from './hex.ts';
import { type HighWater, HighWaterFile } from './high-water.ts';
import { type LostSegment, union } from './losses.ts';
import { WaitingLedger, type WaitingRange } from './waiting-ledger.ts';

/** With more tenants the file is too large to be written with every commit. */
const TENANTS_MAX = 100;

/** What is at one position. */
interface StoredPosition extends Omit<WaitingRange, 'first' | 'last'> {
  tenant: string;
  sequence: number;
}

/** A segment that leaves the buffer: what is known of a range then stays exact in its samples. */
export interface Removal extends Pick<WaitingRange, 'run' | 'first' | 'last' | 'samples'> {
  tenant: string;
  /** Other samples stay at the position. */
  stays?: boolean;
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

/** The segments in a pack, one by one. */
export function removalsOfPack({
  tenant,
  positions,
}: {
  tenant: string;
  positions: readonly { run: bigint; first: number; counts: number[] }[];
}): Removal[] {
  return positions.flatMap(({ run, first, counts }) =>
    counts.map((samples, index) =>
      removalOf({ tenant, run: hex(run), sequence: first + index, samples }),
    ),
  );
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

  /**
   * What earlier runs have left; `id` is its place in the sample log. A run's ranges go in by their
   * sequences, so that none lies within another.
   */
  found(waiting: readonly (WaitingRange & { tenant: string; id: number })[]): void {
    const runs = Map.groupBy(
      [...waiting].sort((one, other) => one.id - other.id),
      ({ tenant, run }) => `${run} ${tenant}`,
    );
    for (const ranges of runs.values()) {
      ranges.sort((one, other) => one.first - other.first);
      for (const { tenant, id: _, ...range } of ranges) this.#ledger.add(tenant, range);
    }
    this.#ledger.seal();
  }

  /** Segments were committed, the last of their tenants: the file says so before anybody is told. */
  stored(rows: Iterable<StoredPosition>): void {
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
    for (const { tenant, samples, stays, ...range } of removals) {
      if (stays === true) ledger.reduce(tenant, range, samples);
      else ledger.remove(tenant, range, samples);
    }
    const number = this.#removals + 1;
    if (ledger.size <= TENANTS_MAX) this.#file.write(this.#stateWith(ledger, number));
    try {
      work(number);
    } catch (error) {
      // They are still there: a damaged one that the file does not list would be set aside uncounted.
      if (this.#ledger.size <= TENANTS_MAX) this.#file.write(this.state);
      throw error;
    }
    this.#ledger = ledger;
    this.#removals = number;
  }

  /** What damaged rows have held, in times that do not come from themselves. */
  lostWith(lost: LostSegment): LostSegment {
    const { tenant, oldest, newest, positions = [] } = lost;
    const ranges = positions.flatMap((range) => this.#ledger.rangesOf(tenant, range));
    if (ranges.length === 0) return lost;
    const known = union(ranges);
    const fits = known.oldest <= oldest && newest <= known.newest;
    const likely = fits ? { likely: { oldest, newest } } : {};
    return { ...lost, oldest: known.oldest, newest: known.newest, ...likely };
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
