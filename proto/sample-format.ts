import { DecodeError } from './bytes.ts';
import { SamplesDecoder } from './codec/samples-decoder.ts';
import { SamplesEncoder } from './codec/samples-encoder.ts';
import { ObjectsDecoder } from './objects/objects-decoder.ts';
import { ObjectsEncoder } from './objects/objects-encoder.ts';
import type { SampleColumns } from './sample-columns.ts';

/**
 * The samples section of a batch. Both ends hold the state of a stream and move it batch by
 * batch; a stream begins with fresh state.
 */
export interface SampleEncoder {
  /** The next samples section of the stream. */
  encode(columns: SampleColumns): Uint8Array;
}

export interface SampleDecoder {
  /**
   * Appends the `count` samples of the stream's next section to `into`: in another order than they
   * were encoded in, but those of each series in theirs.
   *
   * @throws DecodeError, with the state of the stream and `into` as they were
   */
  decode(section: Uint8Array, count: number, into: SampleColumns): void;
}

export interface SampleFormat {
  /** @param groupKeyOf a number for the target (job, instance) of a series, by its id */
  createEncoder(groupKeyOf: (id: number) => number): SampleEncoder;
  /** @param idsMax ids are below; also the most series that the stream may hold */
  createDecoder(idsMax: number): SampleDecoder;
}

/** Floats and histograms' timestamps as docs/wire-samples.md says, in front of them the rest. */
class SectionEncoder implements SampleEncoder {
  readonly #objects = new ObjectsEncoder();
  readonly #floats: SamplesEncoder;

  constructor(groupKeyOf: (id: number) => number) {
    this.#floats = new SamplesEncoder(groupKeyOf);
  }

  encode(columns: SampleColumns): Uint8Array {
    const { head, rest } = this.#objects.encode(columns);
    if (rest.count === 0) return head;
    const floats = this.#floats.encode(rest);
    const section = new Uint8Array(head.length + floats.length);
    section.set(head);
    section.set(floats, head.length);
    return section;
  }
}

class SectionDecoder implements SampleDecoder {
  readonly #objects: ObjectsDecoder;
  readonly #floats: SamplesDecoder;

  constructor(idsMax: number) {
    this.#objects = new ObjectsDecoder({ idsMax });
    this.#floats = new SamplesDecoder({ idsMax });
  }

  decode(section: Uint8Array, count: number, into: SampleColumns): void {
    const rows = into.count;
    const head = this.#objects.read(section);
    const rest = count - head.exemplars.length;
    if (rest < 0) throw new DecodeError('samples: more exemplars than samples');
    const complete = (): void => this.#objects.apply(head, into, rows);
    if (rest > 0) {
      this.#floats.decode(head.floats, rest, into, complete);
      return;
    }
    if (head.floats.length > 0) throw new DecodeError('samples: floats of no sample');
    try {
      complete();
    } catch (error) {
      into.truncate(rows);
      throw error;
    }
  }
}

const sections: SampleFormat = {
  createEncoder: (groupKeyOf) => new SectionEncoder(groupKeyOf),
  createDecoder: (idsMax) => new SectionDecoder(idsMax),
};

/**
 * Formats by the number that a keyframe carries. A hub names those it reads and an agent takes the
 * highest that both know; a number is never used for another format (1 and 2 were never released).
 */
export const sampleFormats: ReadonlyMap<number, SampleFormat> = new Map([[3, sections]]);
