import { DecodeError } from '../../proto/bytes.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import {
  type SampleDecoder,
  type SampleEncoder,
  type SampleFormat,
  sampleFormats,
} from '../../proto/sample-format.ts';
import type { Mistake } from './mistake.ts';
import type { Plan } from './plan.ts';

/** A format whose values depend on how many sections came before; `forgets` makes it careless. */
function countedFormat(forgets: boolean): SampleFormat {
  const shipped = sampleFormats.get(Math.max(...sampleFormats.keys()))!;
  const mix = (columns: SampleColumns, from: number, key: number): void => {
    for (let at = from * 2; at < columns.count * 2; at++) columns.valueBits[at]! ^= key;
  };
  return {
    createEncoder(groupKeyOf): SampleEncoder {
      const inner = shipped.createEncoder(groupKeyOf);
      let sections = 0;
      return {
        encode(columns) {
          const mixed = new SampleColumns();
          mixed.appendRows(columns);
          mix(mixed, 0, ++sections);
          return inner.encode(mixed);
        },
      };
    },
    createDecoder(idsMax): SampleDecoder {
      const inner = shipped.createDecoder(idsMax);
      let sections = 0;
      return {
        decode(section, count, into) {
          const from = into.count;
          sections++;
          try {
            inner.decode(section, count, into);
          } catch (error) {
            if (error instanceof DecodeError && !forgets) sections--;
            throw error;
          }
          mix(into, from, sections);
        },
      };
    },
  };
}

const COUNTED_FORMAT = 99;

function withFormat(format: SampleFormat): () => () => void {
  return () => {
    const formats = sampleFormats as Map<number, SampleFormat>;
    formats.set(COUNTED_FORMAT, format);
    return () => formats.delete(COUNTED_FORMAT);
  };
}

const oftenDamaged = (drawn: Plan): Plan => ({
  ...drawn,
  link: { ...drawn.link, damaged: 0.3 },
});

/** A section that could not be decoded has moved the stream's state all the same. */
export const forgetUndo: Mistake = { install: withFormat(countedFormat(true)), plan: oftenDamaged };

/** No mistake: the same format as it should be. */
export const carefulFormat: Mistake = {
  install: withFormat(countedFormat(false)),
  plan: oftenDamaged,
};
