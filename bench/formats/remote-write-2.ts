import { uncompress } from 'snappyjs';
import { FieldCursor } from '../../proto/field-cursor.ts';
import { WriteRequest2Encoder } from '../../proto/remote-write/encoder-2.ts';
import { latin1 } from '../captured-samples.ts';
import type { Compression } from './compression.ts';
import type { Visit, WireFormat } from './wire-format.ts';

// io.prometheus.write.v2, the fields that carry floats:
//
//   message Request {
//     repeated string symbols = 4;        // the first one is empty
//     repeated TimeSeries timeseries = 5;
//   }
//   message TimeSeries {
//     repeated uint32 labels_refs = 1;    // packed: name, value, name, value
//     repeated Sample samples = 2;
//   }
//   message Sample { double value = 1; int64 timestamp = 2; }

const SYMBOLS_TAG = 0x22;
const TIMESERIES_TAG = 0x2a;
const LABELS_REFS_TAG = 0x0a;

/** Remote write 2.0: label texts once per request, references in their place. */
export function remoteWrite2(compression: Compression): WireFormat {
  const encoder = new WriteRequest2Encoder();
  return {
    name: `remote write 2.0 + ${compression.name}`,
    encode({ series, columns }, { from, to }) {
      const { ids, timestamps, valueBits } = columns;
      for (let row = from; row < to; row++) {
        const { bytes } = series[ids[row]!]!;
        encoder.series(bytes, 0, bytes.length);
        encoder.sample(timestamps[row]!, valueBits[row * 2]!, valueBits[row * 2 + 1]!);
      }
      // The encoder of the product compresses with snappy in any case.
      return compression.compress(uncompress(encoder.finish()));
    },
    decode: (body, visit) => decode(compression.uncompress(body), visit),
  };
}

function decode(bytes: Uint8Array, visit: Visit): void {
  const symbols: string[] = [];
  const cursor = new FieldCursor(bytes);
  while (cursor.at < cursor.end) {
    const tag = cursor.tag();
    if (tag === SYMBOLS_TAG) {
      symbols.push(latin1(cursor.content()));
    } else if (tag === TIMESERIES_TAG) {
      const outerEnd = cursor.enter();
      decodeSeries(cursor, symbols, visit);
      cursor.leave(outerEnd);
    } else {
      cursor.skip(tag);
    }
  }
}

function decodeSeries(cursor: FieldCursor, symbols: readonly string[], visit: Visit): void {
  const labels: string[] = [];
  const view = new DataView(cursor.bytes.buffer, cursor.bytes.byteOffset);
  while (cursor.at < cursor.end) {
    const tag = cursor.tag();
    const outerEnd = cursor.enter();
    if (tag === LABELS_REFS_TAG) {
      while (cursor.at < cursor.end) labels.push(symbols[cursor.uint32()] ?? '');
    } else {
      cursor.tag();
      const at = cursor.take(8);
      cursor.tag();
      visit(labels, cursor.int64(), view.getUint32(at, true), view.getUint32(at + 4, true));
    }
    cursor.leave(outerEnd);
  }
}
