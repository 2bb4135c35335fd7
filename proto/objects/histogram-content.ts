import { DecodeError } from '../bytes.ts';
import { FIXED64, type FieldCursor, LEN, VARINT } from '../field-cursor.ts';

// What is in a Histogram message, as far as a receiver judges it; histogram.ts has the message.
//
//   message BucketSpan { sint32 offset = 1; uint32 length = 2; }

const STALE_LOW = 2;
const STALE_HIGH = 0x7ff0_0000;
/** The wire type of each scalar field that is read or passed over. */
const SCALARS = new Map([
  [1, VARINT],
  [2, FIXED64],
  [3, FIXED64],
  [4, VARINT],
  [5, FIXED64],
  [6, VARINT],
  [7, FIXED64],
  [14, VARINT],
  [15, VARINT],
  [17, VARINT],
]);

/** The buckets on one side of zero, as sent. */
export class HistogramSide {
  /** Of the spans. */
  readonly offsets: number[] = [];
  readonly lengths: number[] = [];
  /** Of an integer histogram; NaN where no double holds it. */
  readonly deltas: number[] = [];
  /** The same, once they were read exactly. */
  readonly exactDeltas: bigint[] = [];
  /** Of a float histogram. */
  readonly counts: number[] = [];

  clear(): void {
    this.offsets.length = 0;
    this.lengths.length = 0;
    this.deltas.length = 0;
    this.exactDeltas.length = 0;
    this.counts.length = 0;
  }
}

/** One histogram after the other, read into the same memory. */
export class HistogramContent {
  readonly negative = new HistogramSide();
  readonly positive = new HistogramSide();
  readonly customValues: number[] = [];
  isFloat = false;
  /** NaN where no double holds it. */
  count = 0;
  zeroCount = 0;
  exactCount = 0n;
  exactZeroCount = 0n;
  schema = 0;
  zeroThreshold = 0;
  isSumNaN = false;
  /** The sum is the stale marker: nothing else counts. */
  isStale = false;
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** Integers are read as bigints, since some are beyond 2^53. */
  #isExact = false;

  /** Reads the Histogram message that the cursor was narrowed to. @throws DecodeError */
  read(cursor: FieldCursor, { exact = false } = {}): void {
    this.#clear();
    this.#isExact = exact;
    this.#lookAt(cursor.bytes);
    while (cursor.at < cursor.end) {
      const tag = cursor.tag();
      const field = tag >>> 3;
      const scalar = SCALARS.get(field);
      if (scalar !== undefined) this.#readScalar(cursor, tag, scalar);
      else if (field >= 8 && field <= 16) this.#readRepeated(cursor, tag);
      else cursor.skip(tag);
    }
  }

  #clear(): void {
    this.negative.clear();
    this.positive.clear();
    this.customValues.length = 0;
    this.isFloat = false;
    this.count = 0;
    this.zeroCount = 0;
    this.exactCount = 0n;
    this.exactZeroCount = 0n;
    this.schema = 0;
    this.zeroThreshold = 0;
    this.isSumNaN = false;
    this.isStale = false;
  }

  /** A view costs more than a small histogram, and many stand in one message. */
  #lookAt({ buffer, byteOffset, byteLength }: Uint8Array): void {
    const view = this.#view;
    const isSame = view.byteOffset === byteOffset && view.byteLength === byteLength;
    if (view.buffer !== buffer || !isSame) {
      this.#view = new DataView(buffer, byteOffset, byteLength);
    }
  }

  #readScalar(cursor: FieldCursor, tag: number, wireType: number): void {
    if ((tag & 7) !== wireType) throw wrongWireType(tag, cursor);
    switch (tag >>> 3) {
      case 1:
        this.isFloat = false;
        if (this.#isExact) this.exactCount = uint64(cursor);
        else this.count = positive(cursor.int64());
        break;
      case 2:
        this.isFloat = true;
        this.count = this.#double(cursor);
        break;
      case 3:
        this.#readSum(cursor);
        break;
      case 4:
        this.schema = unzigzag(cursor.uint32());
        break;
      case 5:
        this.zeroThreshold = this.#double(cursor);
        break;
      case 6:
        if (this.#isExact) this.exactZeroCount = uint64(cursor);
        else this.zeroCount = positive(cursor.int64());
        break;
      case 7:
        this.zeroCount = this.#double(cursor);
        break;
      default:
        cursor.skip(tag);
    }
  }

  #readSum(cursor: FieldCursor): void {
    const at = cursor.take(8);
    const low = this.#view.getUint32(at, true);
    const high = this.#view.getUint32(at + 4, true);
    this.isStale = low === STALE_LOW && high === STALE_HIGH;
    this.isSumNaN = Number.isNaN(this.#view.getFloat64(at, true));
  }

  #readRepeated(cursor: FieldCursor, tag: number): void {
    const field = tag >>> 3;
    const side = field < 11 ? this.negative : this.positive;
    if (field === 8 || field === 11) {
      if ((tag & 7) !== LEN) throw wrongWireType(tag, cursor);
      const outerEnd = cursor.enter();
      readSpan(cursor, side);
      cursor.leave(outerEnd);
      return;
    }
    const isDelta = field === 9 || field === 12;
    const values = field === 16 ? this.customValues : side.counts;
    if ((tag & 7) === LEN) {
      const outerEnd = cursor.enter();
      while (cursor.at < cursor.end) {
        if (isDelta) this.#readDelta(cursor, side);
        else values.push(this.#double(cursor));
      }
      cursor.leave(outerEnd);
    } else if (isDelta && (tag & 7) === VARINT) {
      this.#readDelta(cursor, side);
    } else if (!isDelta && (tag & 7) === FIXED64) {
      values.push(this.#double(cursor));
    } else {
      throw wrongWireType(tag, cursor);
    }
  }

  #readDelta(cursor: FieldCursor, side: HistogramSide): void {
    if (this.#isExact) {
      const zigzag = uint64(cursor);
      side.exactDeltas.push((zigzag >> 1n) ^ -(zigzag & 1n));
    } else {
      side.deltas.push(unzigzag(positive(cursor.int64())));
    }
  }

  #double(cursor: FieldCursor): number {
    return this.#view.getFloat64(cursor.take(8), true);
  }
}

function readSpan(cursor: FieldCursor, side: HistogramSide): void {
  let offset = 0;
  let length = 0;
  while (cursor.at < cursor.end) {
    const tag = cursor.tag();
    const field = tag >>> 3;
    if ((field === 1 || field === 2) && (tag & 7) !== VARINT) throw wrongWireType(tag, cursor);
    if (field === 1) offset = unzigzag(cursor.uint32());
    else if (field === 2) length = cursor.uint32();
    else cursor.skip(tag);
  }
  side.offsets.push(offset);
  side.lengths.push(length);
}

/** A negative int64 is an unsigned one beyond 2^63, which no double holds. */
function positive(value: number): number {
  return value < 0 ? Number.NaN : value;
}

/** 0, 1, 2, 3, ... as 0, -1, 1, -2, ... */
function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** A varint of up to 64 bits. */
function uint64(cursor: FieldCursor): bigint {
  const from = cursor.at;
  cursor.int64();
  let value = 0n;
  for (let at = cursor.at - 1; at >= from; at--) {
    value = (value << 7n) | BigInt(cursor.bytes[at]! & 0x7f);
  }
  return BigInt.asUintN(64, value);
}

function wrongWireType(tag: number, cursor: FieldCursor): DecodeError {
  return new DecodeError(
    `Histogram: field ${tag >>> 3} before byte ${cursor.at} has wire type ${tag & 7}`,
  );
}
