import { assert } from '../../base/assert.ts';

/** Segments first..last of one run that wait, and what is known of them without the database. */
export interface WaitingRange {
  /** In hexadecimal. */
  run: string;
  first: number;
  last: number;
  samples: number;
  /** Milliseconds since the Unix epoch. */
  oldest: number;
  newest: number;
}

/** More make the witness large, fewer make the time range of a loss wide. */
const RANGES_MAX = 32;

/**
 * What waits in the buffer, kept beside it: exact in numbers, coarse in time. When the database is
 * damaged or gone it tells what is missing.
 */
export class WaitingLedger {
  readonly #tenants = new Map<string, WaitingRange[]>();
  /** Tenants whose last range may still grow. */
  readonly #growing = new Set<string>();

  /** Tenants with something that waits. */
  get size(): number {
    return this.#tenants.size;
  }

  /** Segments of a tenant that were stored, behind those of the same run before. */
  add(tenant: string, added: WaitingRange): void {
    const ranges = this.#tenants.get(tenant) ?? [];
    this.#tenants.set(tenant, ranges);
    const last = ranges.at(-1);
    if (last !== undefined && this.#growing.has(tenant) && areNeighbours(last, added)) {
      ranges[ranges.length - 1] = joined(last, added);
    } else {
      ranges.push({ ...added });
    }
    this.#growing.add(tenant);
    if (ranges.length > RANGES_MAX) this.#tenants.set(tenant, joinPairs(ranges));
  }

  /** Segments that have left the buffer in whatever way; `samples` is what they held together. */
  remove(
    tenant: string,
    { run, first, last }: Pick<WaitingRange, 'run' | 'first' | 'last'>,
    samples: number,
  ): void {
    const kept: WaitingRange[] = [];
    let left = samples;
    const partial: WaitingRange[] = [];
    for (const range of this.#tenants.get(tenant) ?? []) {
      const isTouched = range.run === run && range.first <= last && first <= range.last;
      if (!isTouched) kept.push(range);
      else if (first <= range.first && range.last <= last) left -= range.samples;
      else {
        const rest = { ...range };
        if (first <= range.first) rest.first = last + 1;
        else if (range.last <= last) rest.last = first - 1;
        kept.push(rest);
        partial.push(rest);
      }
    }
    // What is left comes from the ranges that stay in part: one, or one at either end.
    for (const range of partial) {
      const taken = Math.min(Math.max(0, left), range.samples);
      range.samples -= taken;
      left -= taken;
    }
    const waiting = kept.filter((range) => range.samples > 0);
    if (waiting.length > 0) this.#tenants.set(tenant, waiting);
    else this.#tenants.delete(tenant);
  }

  /** Samples that have left a segment in which others stay. */
  reduce(
    tenant: string,
    { run, first }: Pick<WaitingRange, 'run' | 'first'>,
    samples: number,
  ): void {
    const range = this.#tenants
      .get(tenant)
      ?.find((one) => one.run === run && one.first <= first && first <= one.last);
    if (range !== undefined) range.samples -= Math.min(samples, range.samples);
  }

  /** The ranges that hold something of `positions`. */
  rangesOf(
    tenant: string,
    { run, first, last }: Pick<WaitingRange, 'run' | 'first' | 'last'>,
  ): WaitingRange[] {
    const ranges = this.#tenants.get(tenant) ?? [];
    return ranges.filter(
      (range) => range.run === run && range.first <= last && first <= range.last,
    );
  }

  copy(): WaitingLedger {
    const copy = new WaitingLedger();
    for (const [tenant, ranges] of this.#tenants) {
      copy.#tenants.set(
        tenant,
        ranges.map((range) => ({ ...range })),
      );
    }
    for (const tenant of this.#growing) copy.#growing.add(tenant);
    return copy;
  }

  /** What is added from now on makes ranges of its own. */
  seal(): void {
    this.#growing.clear();
  }

  /** By tenant, oldest first. */
  snapshot(): Record<string, WaitingRange[]> {
    return Object.fromEntries(this.#tenants);
  }
}

/** Half as many ranges, each the join of two where they belong to one run. */
function joinPairs(ranges: readonly WaitingRange[]): WaitingRange[] {
  const result: WaitingRange[] = [];
  let isJoined = true;
  for (const range of ranges) {
    const last = result.at(-1);
    if (last === undefined || isJoined || !areNeighbours(last, range)) {
      result.push(range);
      isJoined = false;
    } else {
      result[result.length - 1] = joined(last, range);
      isJoined = true;
    }
  }
  return result;
}

function areNeighbours(a: WaitingRange, b: WaitingRange): boolean {
  return a.run === b.run && a.last < b.first;
}

function joined(a: WaitingRange, b: WaitingRange): WaitingRange {
  assert(areNeighbours(a, b), 'ranges that do not follow one another');
  return {
    run: a.run,
    first: a.first,
    last: b.last,
    samples: a.samples + b.samples,
    oldest: Math.min(a.oldest, b.oldest),
    newest: Math.max(a.newest, b.newest),
  };
}
