import { grown } from './typed-arrays.ts';

/** Group by group key, by timestamp. */
type Openings = Map<number, Map<number, number>>;

/**
 * Places each new series in a group: with those of the same job and instance that were first seen
 * at the same time. So the containers of one cAdvisor, which have timestamps of their own, become
 * groups of their own. A scrape may be cut by the end of a batch, so the openings of the batch
 * before count as well.
 */
export class GroupFinder {
  readonly #groupKeyOf: (id: number) => number;
  #groups = new Int32Array(64);
  #count = 0;
  #openings: Openings = new Map();
  #openingsBefore: Openings = new Map();

  /** @param groupKeyOf job and instance of the series as a number; asked once for each series */
  constructor(groupKeyOf: (id: number) => number) {
    this.#groupKeyOf = groupKeyOf;
  }

  beginBatch(): void {
    this.#openingsBefore = this.#openings;
    this.#openings = new Map();
  }

  groupOf(series: number): number {
    return this.#groups[series]!;
  }

  /** Places the series with the next number. */
  place(series: number, id: number, timestamp: number): number {
    const key = this.#groupKeyOf(id);
    const known =
      find(this.#openings, timestamp, key) ?? find(this.#openingsBefore, timestamp, key);
    const group = known ?? this.#count++;
    if (known === undefined) {
      const keys = this.#openings.get(timestamp);
      if (keys === undefined) this.#openings.set(timestamp, new Map([[key, group]]));
      else keys.set(key, group);
    }
    if (series === this.#groups.length) {
      this.#groups = grown(this.#groups, new Int32Array(series * 2));
    }
    this.#groups[series] = group;
    return group;
  }
}

function find(openings: Openings, timestamp: number, key: number): number | undefined {
  return openings.get(timestamp)?.get(key);
}
