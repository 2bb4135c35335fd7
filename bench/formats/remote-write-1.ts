import { uncompress } from 'snappyjs';
import { WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import { WriteRequestWalker } from '../../proto/remote-write/walker-1.ts';
import { type LabelTexts, labelTexts } from '../captured-samples.ts';
import type { Compression } from './compression.ts';
import type { WireFormat } from './wire-format.ts';

/** Remote write 1.0: every sample stands behind its whole label set. */
export function remoteWrite1(compression: Compression): WireFormat {
  const encoder = new WriteRequestEncoder();
  const walker = new WriteRequestWalker();
  return {
    name: `remote write 1.0 + ${compression.name}`,
    encode({ series, columns }, { from, to }) {
      for (let row = from; row < to; row++) {
        const { bytes } = series[columns.ids[row]!]!;
        encoder.series(bytes, 0, bytes.length);
        const at = row * 2;
        const { timestamps, valueBits } = columns;
        encoder.sample(timestamps[row]!, valueBits[at]!, valueBits[at + 1]!);
      }
      // The encoder of the product compresses with snappy in any case.
      return compression.compress(uncompress(encoder.finish()));
    },
    decode(body, visit) {
      const bytes = compression.uncompress(body);
      let labels: LabelTexts = [];
      walker.walk(bytes, bytes.length, {
        series: (source, from, to) => {
          labels = labelTexts(source.subarray(from, to));
        },
        sample: (timestamp, bitsLow, bitsHigh) => visit(labels, timestamp, bitsLow, bitsHigh),
        metadata: () => {},
        histogram: () => {},
        exemplar: () => {},
      });
    },
  };
}
