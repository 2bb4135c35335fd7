import { assert } from '../base/assert.ts';
import { SeriesGroups } from './encode/series-groups.ts';

/** A dictionary log of the buffer. */
interface Dictionary {
  readonly epoch: bigint;
  entry(id: number): Uint8Array | undefined;
}

/** Joins buffer and encode: the targets behind the series of each dictionary log, kept with it. */
export class TargetKeys {
  readonly #buffer: { readonly dictionaries: readonly Dictionary[] };
  readonly #groups = new WeakMap<Dictionary, SeriesGroups>();

  constructor(buffer: { readonly dictionaries: readonly Dictionary[] }) {
    this.#buffer = buffer;
  }

  /** A number for the target of a series, by its id in the log of `epoch`. */
  keysOf(epoch: bigint): (id: number) => number {
    const dictionary = this.#buffer.dictionaries.find((log) => log.epoch === epoch);
    assert(dictionary !== undefined, 'a stream of an epoch that is not in use');
    let groups = this.#groups.get(dictionary);
    if (groups === undefined) {
      groups = new SeriesGroups((id) => dictionary.entry(id));
      this.#groups.set(dictionary, groups);
    }
    return (id) => groups.keyOf(id);
  }
}
