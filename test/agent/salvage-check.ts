import { BufferImage } from '../../agent/buffer/salvage/buffer-image.ts';
import { readCell, readNode, readRecord } from '../../agent/buffer/salvage/page-cells.ts';
import { entryRow } from '../../agent/buffer/salvage/row-shapes.ts';
import type { Hit } from '../tools/buffer-damages.ts';
import type { KnownSample } from './salvage-fixture.ts';

const PAGE_BYTES = 16_384;
const FRAME_HEADER_BYTES = 24;

/** Where the rows of an undamaged buffer lie, byte by byte. */
export class RowMap {
  readonly #rows: { name: string; hit: Hit }[] = [];
  readonly #image: BufferImage;

  constructor(dataDir: string) {
    this.#image = new BufferImage(dataDir);
    const { pages, segments } = this.#image;
    for (const { run, sequence, tenant, page, at, standing } of segments) {
      if (standing !== 'live') continue;
      const cell = readCell(pages.page(page), at, 'table')!;
      this.#add(`segment ${tenant} ${run} ${sequence}`, page, cell);
    }
    for (let page = 2; page <= pages.count; page++) {
      const node = pages.isContent(page) ? readNode(pages.page(page)) : undefined;
      if (node?.kind !== 'index' && node?.kind !== 'index inner') continue;
      for (const cell of node.cells) {
        const record = readRecord(cell, pages);
        const entry = record && entryRow(record);
        if (entry !== undefined) this.#add(`entry ${entry.epoch - 1} ${entry.id}`, page, cell);
      }
    }
    this.#image.close();
  }

  /** Names of the rows of which one of these bytes is a part. */
  rowsAt(hits: readonly Hit[]): Set<string> {
    const names = this.#rows.filter(({ hit }) =>
      hits.some(({ file, from, to }) => file === hit.file && from < hit.to && hit.from < to),
    );
    return new Set(names.map(({ name }) => name));
  }

  #add(
    name: string,
    page: number,
    cell: { at: number; end: number; overflow: number; recordBytes: number; local: Uint8Array },
  ): void {
    this.#rows.push({ name, hit: this.#place(page, cell.at, cell.end) });
    let left = cell.recordBytes - cell.local.length;
    for (let next = cell.overflow; left > 0; ) {
      const content = Math.min(left, PAGE_BYTES - 4);
      this.#rows.push({ name, hit: this.#place(next, 0, 4 + content) });
      left -= content;
      const bytes = this.#image.pages.page(next);
      next = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    }
  }

  #place(page: number, from: number, to: number): Hit {
    const { frames, committed } = this.#image.pages.wal;
    const frame = frames.slice(0, committed).findLast((candidate) => candidate.page === page);
    const file = frame === undefined ? 'buffer.db' : 'buffer.db-wal';
    const start = frame === undefined ? (page - 1) * PAGE_BYTES : frame.at + FRAME_HEADER_BYTES;
    return { file, from: start + from, to: start + to };
  }
}

/** What of `expected` may be missing after `hits`: samples in rows that were hit, and no others. */
export function lossAllowed(map: RowMap, hits: readonly Hit[]): (sample: KnownSample) => boolean {
  const rows = map.rowsAt(hits);
  return ({ tenant, position, entry }) => {
    const [epoch, id] = entry.split(' ');
    // Of an entry that is gone with its hash, the next one cannot be verified.
    const before = `entry ${epoch} ${Number(id) - 1}`;
    return (
      rows.has(`segment ${tenant} ${position}`) || rows.has(`entry ${entry}`) || rows.has(before)
    );
  };
}

/** Those of `samples` that are not among `others`. */
export function without(
  samples: readonly KnownSample[],
  others: readonly KnownSample[],
): KnownSample[] {
  const keys = new Set(others.map(({ key }) => key));
  return samples.filter(({ key }) => !keys.has(key));
}

/** Samples that no line of the log accounts for by tenant and time range. */
export function unaccounted(
  missing: readonly KnownSample[],
  lines: readonly Record<string, unknown>[],
): KnownSample[] {
  const ranges = lines
    .filter(({ reason, oldest }) => reason !== undefined && oldest !== undefined)
    .map(({ tenant, oldest, newest }) => ({
      tenant,
      oldest: Date.parse(String(oldest)),
      newest: Date.parse(String(newest)),
    }));
  return missing.filter(
    ({ tenant, timestamp }) =>
      !ranges.some(
        (range) =>
          range.tenant === tenant && range.oldest <= timestamp && timestamp <= range.newest,
      ),
  );
}
