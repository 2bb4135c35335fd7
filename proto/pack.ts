import { ByteReader, ByteWriter, DecodeError } from './bytes.ts';
import type { SampleColumns } from './sample-columns.ts';
import { type SampleEncoder, type SampleFormat, sampleFormats } from './sample-format.ts';

/**
 * A pack: many segments of one tenant as sections of one stream of their own, which begins with
 * fresh state. So it is as small as what a live stream sends, and stands for itself.
 *
 *     sections, each: varint samples, varint bytes, the section
 *
 * Packs lie on the agent's disk and cross the border in this form. Sections let the agent, which
 * packs while it takes samples in, look up in between.
 */
export const PACK_SAMPLES_MAX = 500_000;
/** No section is shorter; a byte that says it has none would let a short pack ask for many. */
const SECTION_BYTES_MIN = 1;

/** Writes one pack. */
export class PackEncoder {
  /** Samples so far. */
  samples = 0;
  readonly #writer = new ByteWriter();
  readonly #encoder: SampleEncoder;

  /** @param groupKeyOf as for a stream: a number for the target of a series, by its id */
  constructor(format: SampleFormat, groupKeyOf: (id: number) => number) {
    this.#encoder = format.createEncoder(groupKeyOf);
  }

  /** Bytes so far. */
  get bytes(): number {
    return this.#writer.length;
  }

  /** Appends samples as a section of their own. */
  add(columns: SampleColumns): void {
    const section = this.#encoder.encode(columns);
    this.#writer.varint(columns.count);
    this.#writer.varint(section.length);
    this.#writer.raw(section);
    this.samples += columns.count;
  }

  finish(): Uint8Array {
    return this.#writer.finish();
  }
}

/**
 * Appends the `samples` samples of a pack to `into`; on an error `into` is as it was. The samples
 * of a section are in another order than they were added in, but those of each series in theirs.
 *
 * @param idsMax ids are below
 * @throws DecodeError
 */
export function decodePack(
  pack: Uint8Array,
  { format, samples, idsMax }: { format: number; samples: number; idsMax: number },
  into: SampleColumns,
): void {
  const known = sampleFormats.get(format);
  if (known === undefined) throw new DecodeError(`pack: samples format ${format}`);
  const decoder = known.createDecoder(idsMax);
  const reader = new ByteReader(pack);
  const rows = into.count;
  try {
    into.reserve(rows + samples);
    while (!reader.done) {
      const count = reader.varint();
      const bytes = reader.varint();
      if (bytes < SECTION_BYTES_MIN || count < 1) throw new DecodeError('pack: an empty section');
      if (into.count + count > rows + samples) throw new DecodeError('pack: too many samples');
      decoder.decode(reader.raw(bytes), count, into);
    }
    if (into.count !== rows + samples) throw new DecodeError(`pack: ${into.count - rows} samples`);
  } catch (error) {
    into.truncate(rows);
    throw error;
  }
}
