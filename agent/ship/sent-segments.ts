import type { ShippablePack } from './contracts.ts';

/** Of more ranges than this the two with the least between them are taken for one. */
const RANGES_MAX = 64;
/** Of backlogs that were cut by series; of the oldest ones all is taken for sent after that. */
const PLACES_MAX = 64;

type Place = Pick<ShippablePack, 'id' | 'lastId' | 'firstSample' | 'samples' | 'positions'>;

/**
 * What has been in a batch, so that the hub may have it although nobody knows: segments by their
 * ids, and packs that hold a part of each segment by their places among the others.
 */
export class SentSegments {
  readonly #storedBefore: number;
  readonly #segments = new Ranges();
  /** Samples of the whole, by the id of its first segment. */
  readonly #parts = new Map<number, { lastId: number; samples: Ranges }>();

  /** @param storedBefore highest segment that an earlier run left: it may have been sent */
  constructor(storedBefore: number) {
    this.#storedBefore = storedBefore;
    this.#segments.add(0, storedBefore);
  }

  /** The segments from `first` to `last` are in a batch. */
  add(first: number, last: number): void {
    this.#segments.add(first, last);
  }

  /** A pack is in a batch. */
  addPack(pack: Place): void {
    if (isPart(pack)) this.#addPart(pack);
    else this.add(pack.id, pack.lastId);
  }

  /**
   * Whether one of the segments from `first` to `last` may have been sent. Rather too often than not
   * often enough: then refused samples may be taken for redelivered ones, and not the other way.
   */
  mayHold(first: number, last: number): boolean {
    return this.#segments.mayHold(first, last);
  }

  /** Whether some of the samples in a pack may have been sent, in whatever batch. */
  mayHoldPack(pack: Place): boolean {
    return this.mayHold(pack.id, pack.lastId) || this.#mayHoldPart(pack);
  }

  /** Whether the hub may know the pack by its positions. */
  mayKnow(pack: Place): boolean {
    const isOwn = isPart(pack) && pack.id > this.#storedBefore;
    return isOwn ? this.#mayHoldPart(pack) : this.mayHold(pack.id, pack.lastId);
  }

  #addPart({ id, lastId, firstSample, samples }: Place): void {
    const parts = this.#parts.get(id) ?? { lastId, samples: new Ranges() };
    parts.samples.add(firstSample, firstSample + samples - 1);
    this.#parts.set(id, parts);
    if (this.#parts.size <= PLACES_MAX) return;
    const [oldestId] = this.#parts.keys();
    this.add(oldestId!, this.#parts.get(oldestId!)!.lastId);
    this.#parts.delete(oldestId!);
  }

  #mayHoldPart({ id, firstSample, samples }: Place): boolean {
    const parts = this.#parts.get(id);
    return parts?.samples.mayHold(firstSample, firstSample + samples - 1) === true;
  }
}

/** Whether a pack has a position of its own, not those of its segments. */
function isPart({ id, lastId, positions: [range, ...others] }: Place): boolean {
  // With one segment it is all the same.
  return id < lastId && others.length === 0 && range?.first === range?.last;
}

/** Ranges of numbers, both ends included. */
class Ranges {
  /** Ascending; they neither overlap nor touch. */
  #ranges: { first: number; last: number }[] = [];

  add(first: number, last: number): void {
    const isApart = (range: { first: number; last: number }): boolean =>
      range.last + 1 < first || last + 1 < range.first;
    const joined = this.#ranges.filter((range) => !isApart(range));
    const grown = {
      first: Math.min(first, ...joined.map((range) => range.first)),
      last: Math.max(last, ...joined.map((range) => range.last)),
    };
    const ranges = [...this.#ranges.filter(isApart), grown];
    this.#ranges = ranges.sort((one, other) => one.first - other.first);
    if (ranges.length > RANGES_MAX) this.#joinNearest();
  }

  mayHold(first: number, last: number): boolean {
    return this.#ranges.some((range) => range.first <= last && first <= range.last);
  }

  /** The ids in between are mostly those of other tenants. */
  #joinNearest(): void {
    const ranges = this.#ranges;
    const gap = (at: number): number => ranges[at + 1]!.first - ranges[at]!.last;
    let nearest = 0;
    for (let at = 1; at < ranges.length - 1; at++) if (gap(at) < gap(nearest)) nearest = at;
    const { first } = ranges[nearest]!;
    const { last } = ranges[nearest + 1]!;
    ranges.splice(nearest, 2, { first, last });
  }
}
