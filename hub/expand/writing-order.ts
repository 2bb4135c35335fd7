import { storageRank } from '../../proto/remote-write/written-rows.ts';
import { ObjectCursor, type SampleColumns } from '../../proto/sample-columns.ts';

/**
 * The order in which the rows of a batch are written: that of their arrival, except that exemplars
 * stand directly behind a sample of their series. In version 2.0 a TimeSeries must hold at least one
 * sample, and most senders send exemplars on their own.
 */
export class WritingOrder {
  readonly rows: Uint32Array;
  /** Rows of exemplars that a sample stands before. */
  readonly #joined = new Set<number>();
  /** Rows of exemplars whose series has no sample in the batch. */
  readonly #alone = new Set<number>();
  /** Rows in which a series falls in rank (storageRank), with the row of it before. */
  readonly #falls: ReadonlyMap<number, number>;
  /** Bytes of the rows that are no floats. */
  readonly #bytes: ReadonlyMap<number, number>;

  constructor(columns: SampleColumns) {
    const { count, objects } = columns;
    this.#falls = falls(columns);
    this.#bytes = new Map(
      objects.map(({ row, bytes, layout }) => [row, bytes.length + (layout?.length ?? 0)]),
    );
    const exemplars = objects.filter(({ kind }) => kind === 'exemplar').map(({ row }) => row);
    const hosts = hostsOf(columns, exemplars);
    const behind = new Map<number, number[]>();
    for (const row of exemplars) {
      const host = hosts.get(row);
      if (host === undefined) {
        this.#alone.add(row);
        continue;
      }
      this.#joined.add(row);
      const others = behind.get(host);
      if (others === undefined) behind.set(host, [row]);
      else others.push(row);
    }
    this.rows = new Uint32Array(count);
    let at = 0;
    for (let row = 0; row < count; row++) {
      if (this.#joined.has(row)) continue;
      this.rows[at++] = row;
      for (const exemplar of behind.get(row) ?? []) this.rows[at++] = exemplar;
    }
  }

  /** Whether there is anything but floats. */
  get hasObjects(): boolean {
    return this.#bytes.size > 0;
  }

  /** What a row takes in a body besides what a float does. */
  bytesOf(row: number): number {
    return this.#bytes.get(row) ?? 0;
  }

  /** The row that `row` must not share a request with, if there is one. */
  notWith(row: number): number | undefined {
    return this.#falls.get(row);
  }

  isJoined(row: number): boolean {
    return this.#joined.has(row);
  }

  isExemplar(row: number): boolean {
    return this.#joined.has(row) || this.#alone.has(row);
  }

  isAlone(row: number): boolean {
    return this.#alone.has(row);
  }
}

/**
 * By exemplar row: the row of the sample it stands behind, the first of its series that is not older,
 * so that exemplars are spread as their samples are.
 */
function hostsOf(columns: SampleColumns, exemplars: readonly number[]): Map<number, number> {
  const { ids, timestamps, count } = columns;
  const hosts = new Map<number, number>();
  if (exemplars.length === 0) return hosts;
  const samples = new Map<number, number[]>(exemplars.map((row) => [ids[row]!, []]));
  const skipped = new Set(exemplars);
  for (let row = 0; row < count; row++) {
    if (!skipped.has(row)) samples.get(ids[row]!)?.push(row);
  }
  for (const exemplar of exemplars) {
    const ofSeries = samples.get(ids[exemplar]!)!;
    const isHost = (row: number) => timestamps[row]! >= timestamps[exemplar]!;
    const host = ofSeries.find(isHost) ?? ofSeries.at(-1);
    if (host !== undefined) hosts.set(exemplar, host);
  }
  return hosts;
}

function falls(columns: SampleColumns): Map<number, number> {
  const found = new Map<number, number>();
  const { ids, count, objects } = columns;
  if (!objects.some(({ kind }) => kind === 'histogram')) return found;
  const cursor = new ObjectCursor(objects);
  const last = new Map<number, { row: number; rank: number }>();
  for (let row = 0; row < count; row++) {
    const object = cursor.at(row);
    if (object?.kind === 'exemplar') continue;
    const rank = storageRank(object);
    const before = last.get(ids[row]!);
    if (before !== undefined && before.rank > rank) found.set(row, before.row);
    last.set(ids[row]!, { row, rank });
  }
  return found;
}
