import { ByteWriter } from '../bytes.ts';
import type { RowObject, SampleColumns } from '../sample-columns.ts';
import { countsDifference } from './counts.ts';
import { splitHistogram } from './histogram.ts';
import { EXEMPLARS, findRows, HISTOGRAMS, type RowsOfSeries, STARTS } from './section.ts';
import { SeriesMemory } from './series-memory.ts';

/** Encodes what of the samples of one stream is no float, section by section; see section.ts. */
export class ObjectsEncoder {
  readonly #memory = new SeriesMemory();
  readonly #writer = new ByteWriter();

  /**
   * The head of the next section, and the rows that the float codec is to encode behind it: all but
   * the exemplars, whose timestamps would tear its blocks apart.
   */
  encode(columns: SampleColumns): { head: Uint8Array; rest: SampleColumns } {
    this.#memory.begin();
    const { objects } = columns;
    const exemplars = objects.filter(({ kind }) => kind === 'exemplar');
    const rest = columns.withoutExemplars();
    const histograms = rest.objects;
    const writer = this.#writer;
    writer.clear();
    let flags = 0;
    if (exemplars.length > 0) {
      flags |= EXEMPLARS;
      this.#writeExemplars(columns, exemplars);
    }
    if (histograms.length > 0) {
      flags |= HISTOGRAMS;
      this.#writeHistograms(rest, histograms);
    }
    if (this.#writeStarts(rest)) flags |= STARTS;
    this.#memory.keep();
    return { head: headOf(flags, writer), rest };
  }

  #writeExemplars({ ids, timestamps }: SampleColumns, exemplars: readonly RowObject[]): void {
    const writer = this.#writer;
    writer.varint(exemplars.length);
    let id = 0;
    for (const { row, bytes } of exemplars) {
      writer.zigzag(ids[row]! - id);
      id = ids[row]!;
      writer.zigzag(timestamps[row]!);
      writer.varint(bytes.length);
      writer.raw(bytes);
    }
  }

  #writeHistograms(columns: SampleColumns, histograms: readonly RowObject[]): void {
    const writer = this.#writer;
    const bySeries = Map.groupBy(histograms, ({ row }) => columns.ids[row]!);
    const rowsOf: RowsOfSeries = new Map();
    for (const id of bySeries.keys()) rowsOf.set(id, []);
    findRows(columns.ids, 0, columns.count, rowsOf);
    writer.varint(bySeries.size);
    let idBefore = 0;
    for (const [id, own] of [...bySeries].sort(([one], [other]) => one - other)) {
      const rows = rowsOf.get(id)!;
      const isListed = rows.length !== own.length;
      writer.varint(id - idBefore);
      idBefore = id;
      writer.varint(own.length * 2 + (isListed ? 1 : 0));
      if (isListed) this.#writePlaces(own, rows);
      for (const histogram of own) this.#writeHistogram(id, histogram);
    }
  }

  /** Both ascend, and every histogram is among the rows of its series. */
  #writePlaces(histograms: readonly RowObject[], rows: readonly number[]): void {
    let placeBefore = 0;
    let place = 0;
    for (const { row } of histograms) {
      while (rows[place] !== row) place++;
      this.#writer.varint(place - placeBefore);
      placeBefore = place;
    }
  }

  #writeHistogram(id: number, { bytes, layout: apart }: RowObject): void {
    const writer = this.#writer;
    const { layout, counts } =
      apart === undefined ? splitHistogram(bytes) : { layout: apart, counts: bytes };
    const before = this.#memory.layoutOf(id);
    if (before !== undefined && Buffer.compare(before, layout) === 0) {
      writer.varint(0);
    } else {
      writer.varint(layout.length + 1);
      writer.raw(layout);
      this.#memory.setLayout(id, layout);
    }
    const countsBefore = this.#memory.countsOf(id);
    const difference = countsBefore && countsDifference(countsBefore, counts);
    const written = difference ?? counts;
    writer.varint(written.length * 2 + (difference === undefined ? 0 : 1));
    writer.raw(written);
    this.#memory.setCounts(id, counts);
  }

  /** Whether there was something to say. */
  #writeStarts(columns: SampleColumns): boolean {
    if (columns.startTimestamps === undefined && !this.#memory.hasStarts) return false;
    const changes = this.#changes(columns);
    if (changes.length === 0) return false;
    changes.sort((one, other) => one.id - other.id || one.place - other.place);
    this.#writer.varint(changes.length);
    let idBefore = 0;
    for (const { id, place, start } of changes) {
      this.#writer.varint(id - idBefore);
      idBefore = id;
      this.#writer.varint(place);
      this.#writer.zigzag(start);
    }
    return true;
  }

  #changes(columns: SampleColumns): { id: number; place: number; start: number }[] {
    const changes: { id: number; place: number; start: number }[] = [];
    const places = new Map<number, number>();
    for (let row = 0; row < columns.count; row++) {
      const id = columns.ids[row]!;
      const place = places.get(id) ?? 0;
      places.set(id, place + 1);
      const start = columns.startOf(row);
      if (start === this.#memory.startOf(id)) continue;
      changes.push({ id, place, start });
      this.#memory.setStart(id, start);
    }
    return changes;
  }
}

function headOf(flags: number, parts: ByteWriter): Uint8Array {
  if (flags === 0) return new Uint8Array(1);
  const head = new ByteWriter(parts.length + 8);
  head.byte(flags);
  head.varint(parts.length);
  head.raw(parts.bytes, 0, parts.length);
  return head.finish();
}
