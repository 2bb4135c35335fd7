import { ByteWriter } from '../../proto/bytes.ts';
import { FieldCursor } from '../../proto/field-cursor.ts';
import { writeBytesField } from '../../proto/field-writer.ts';
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
const SAMPLES_TAG = 0x12;
const VALUE_TAG = 0x09;
const TIMESTAMP_TAG = 0x10;

/** Remote write 2.0: label texts once per request, references in their place. */
export function remoteWrite2(compression: Compression): WireFormat {
  return {
    name: `remote write 2.0 + ${compression.name}`,
    encode({ series, columns }, { from, to }) {
      const symbols = new Symbols();
      const timeseries = new ByteWriter(1 << 16);
      const one = new ByteWriter();
      const part = new ByteWriter();
      for (let row = from; row < to; row++) {
        one.clear();
        part.clear();
        for (const text of series[columns.ids[row]!]!.texts) part.varint(symbols.reference(text));
        writeBytesField(one, LABELS_REFS_TAG, part.bytes.subarray(0, part.length));
        part.clear();
        part.byte(VALUE_TAG);
        part.uint32(columns.valueBits[row * 2]!);
        part.uint32(columns.valueBits[row * 2 + 1]!);
        part.byte(TIMESTAMP_TAG);
        part.varint(columns.timestamps[row]!);
        writeBytesField(one, SAMPLES_TAG, part.bytes.subarray(0, part.length));
        writeBytesField(timeseries, TIMESERIES_TAG, one.bytes.subarray(0, one.length));
      }
      return compression.compress(Buffer.concat([symbols.finish(), timeseries.finish()]));
    },
    decode: (body, visit) => decode(compression.uncompress(body), visit),
  };
}

class Symbols {
  readonly #references = new Map([['', 0]]);

  reference(text: string): number {
    const known = this.#references.get(text);
    if (known !== undefined) return known;
    this.#references.set(text, this.#references.size);
    return this.#references.size - 1;
  }

  finish(): Uint8Array {
    const writer = new ByteWriter(1 << 16);
    for (const text of this.#references.keys()) {
      writeBytesField(writer, SYMBOLS_TAG, Buffer.from(text, 'latin1'));
    }
    return writer.finish();
  }
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
