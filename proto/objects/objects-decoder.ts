import { ByteReader, DecodeError } from '../bytes.ts';
import type { RowObject, SampleColumns } from '../sample-columns.ts';
import { countsAfter } from './counts.ts';
import { readExemplar } from './exemplar.ts';
import { checkPart, HISTOGRAM_BYTES_MAX } from './histogram.ts';
import { EXEMPLARS, findRows, HISTOGRAMS, type RowsOfSeries, STARTS } from './section.ts';
import { SeriesMemory } from './series-memory.ts';

/** Agents take half as much; one that was reduced to a lower schema may have grown by a few bytes. */
const OBJECT_BYTES_MAX = 2 * HISTOGRAM_BYTES_MAX;

interface ExemplarRow {
  id: number;
  timestamp: number;
  bytes: Uint8Array;
}

interface SeriesHistograms {
  id: number;
  /** Places among the rows of the series; undefined: all of them. */
  places: number[] | undefined;
  histograms: { layout: Uint8Array; bytes: Uint8Array }[];
}

interface StartChange {
  id: number;
  place: number;
  start: number;
}

/** The head of a section, read but not yet put to its rows. */
export interface SectionHead {
  exemplars: ExemplarRow[];
  series: SeriesHistograms[];
  changes: StartChange[];
  /** The range-coded floats. */
  floats: Uint8Array;
}

/** Decodes what an ObjectsEncoder wrote, each section once and in order. */
export class ObjectsDecoder {
  readonly #memory = new SeriesMemory();
  readonly #idsMax: number;

  /** @param idsMax ids are below */
  constructor({ idsMax }: { idsMax: number }) {
    this.#idsMax = idsMax;
  }

  /** Reads the head of the next section; nothing is remembered before `apply`. @throws DecodeError */
  read(section: Uint8Array): SectionHead {
    this.#memory.begin();
    const outer = new ByteReader(section);
    const flags = outer.byte();
    if (flags > (HISTOGRAMS | STARTS | EXEMPLARS)) throw new DecodeError(`samples: flags ${flags}`);
    const reader = new ByteReader(flags === 0 ? EMPTY : outer.raw(outer.varint()));
    const head = {
      exemplars: (flags & EXEMPLARS) === 0 ? [] : this.#readExemplars(reader),
      series: (flags & HISTOGRAMS) === 0 ? [] : this.#readSeries(reader),
      changes: (flags & STARTS) === 0 ? [] : this.#readChanges(reader),
      floats: section.subarray(outer.at),
    };
    if (!reader.done) throw new DecodeError('samples: bytes behind the objects');
    return head;
  }

  /**
   * Puts the head to the rows from `from` on, which the floats have become, and appends the
   * exemplars. Only now the stream moves on.
   *
   * @throws DecodeError, with the stream as it was; `into` is for the caller to truncate
   */
  apply(head: SectionHead, into: SampleColumns, from: number): void {
    const to = into.count;
    // Not all in one call: its arguments would have to fit on the stack.
    const histograms = head.series.length === 0 ? [] : histogramRows(head.series, into, from);
    for (const histogram of histograms) into.objects.push(histogram);
    if (head.changes.length > 0 || this.#memory.hasStarts) this.#applyStarts(head, into, from, to);
    for (const { id, timestamp, bytes } of head.exemplars) {
      into.pushObject('exemplar', id, timestamp, bytes);
    }
    this.#memory.keep();
  }

  #readExemplars(reader: ByteReader): ExemplarRow[] {
    let id = 0;
    return times(reader.varint(), () => {
      id = this.#known(id + reader.zigzag());
      const timestamp = reader.zigzag();
      const bytes = reader.raw(reader.varint());
      checkSize(bytes.length);
      readExemplar(bytes, 0, bytes.length);
      return { id, timestamp, bytes };
    });
  }

  #readSeries(reader: ByteReader): SeriesHistograms[] {
    let id = 0;
    return times(reader.varint(), (index) => {
      const difference = reader.varint();
      if (index > 0 && difference === 0) throw new DecodeError('samples: a series twice');
      id = this.#known(id + difference);
      const word = reader.varint();
      const count = Math.floor(word / 2);
      if (count === 0) throw new DecodeError('samples: a series of no histograms');
      const places = word % 2 === 1 ? readPlaces(reader, count) : undefined;
      return { id, places, histograms: times(count, () => this.#readHistogram(reader, id)) };
    });
  }

  #readHistogram(reader: ByteReader, id: number): { layout: Uint8Array; bytes: Uint8Array } {
    const layoutWord = reader.varint();
    if (layoutWord > 0) {
      const own = reader.raw(layoutWord - 1).slice();
      checkPart(own);
      this.#memory.setLayout(id, own);
    }
    const layout = this.#memory.layoutOf(id);
    if (layout === undefined) throw new DecodeError(`samples: series ${id} has no layout before`);
    const bytes = this.#readCounts(reader, id);
    checkPart(bytes);
    checkSize(layout.length + bytes.length);
    this.#memory.setCounts(id, bytes);
    return { layout, bytes };
  }

  #readCounts(reader: ByteReader, id: number): Uint8Array {
    const word = reader.varint();
    const written = reader.raw(Math.floor(word / 2));
    if (word % 2 === 0) return written.slice();
    const before = this.#memory.countsOf(id);
    if (before === undefined) throw new DecodeError(`samples: series ${id} has no counts before`);
    return countsAfter(before, written);
  }

  #readChanges(reader: ByteReader): StartChange[] {
    let id = 0;
    return times(reader.varint(), () => {
      id = this.#known(id + reader.varint());
      return { id, place: reader.varint(), start: reader.zigzag() };
    });
  }

  #applyStarts({ changes }: SectionHead, into: SampleColumns, from: number, to: number): void {
    const places = new Map<number, number>();
    // The first of a series comes last: from the other end each would move all the others.
    const bySeries = Map.groupBy(changes.toReversed(), ({ id }) => id);
    let applied = 0;
    for (let row = from; row < to; row++) {
      const id = into.ids[row]!;
      const place = places.get(id) ?? 0;
      places.set(id, place + 1);
      const own = bySeries.get(id);
      if (own?.at(-1)?.place === place) {
        this.#memory.setStart(id, own.pop()!.start);
        applied++;
      }
      into.setStart(row, this.#memory.startOf(id));
    }
    if (applied < changes.length) throw new DecodeError('samples: start timestamps of no row');
  }

  #known(id: number): number {
    if (id < 0 || id >= this.#idsMax) throw new DecodeError(`samples: series id ${id} is unknown`);
    return id;
  }
}

/** One layout may be that of all the histograms that make a body: they become as large as they say. */
function checkSize(bytes: number): void {
  if (bytes > OBJECT_BYTES_MAX) throw new DecodeError(`samples: an object of ${bytes} bytes`);
}

const EMPTY = new Uint8Array(0);

/** Not Array.from: a count that is not true ends at the first read beyond the bytes. */
function times<T>(count: number, make: (index: number) => T): T[] {
  const made: T[] = [];
  for (let index = 0; index < count; index++) made.push(make(index));
  return made;
}

function readPlaces(reader: ByteReader, count: number): number[] {
  let place = 0;
  return times(count, (index) => {
    const difference = reader.varint();
    if (index > 0 && difference === 0) throw new DecodeError('samples: a row twice');
    place += difference;
    return place;
  });
}

function histogramRows(
  series: readonly SeriesHistograms[],
  into: SampleColumns,
  from: number,
): RowObject[] {
  const rowsOf: RowsOfSeries = new Map(series.map(({ id }) => [id, []]));
  findRows(into.ids, from, into.count, rowsOf);
  const objects = series.flatMap(({ id, places, histograms }) => {
    const rows = rowsOf.get(id)!;
    if (places === undefined && rows.length !== histograms.length) {
      throw new DecodeError(`samples: ${histograms.length} histograms of ${rows.length} rows`);
    }
    return histograms.map((histogram, index): RowObject => {
      const row = rows[places === undefined ? index : places[index]!];
      if (row === undefined) throw new DecodeError('samples: a histogram of no row');
      return { row, kind: 'histogram', ...histogram };
    });
  });
  return objects.sort((one, other) => one.row - other.row);
}
