import { crc32 } from 'node:zlib';
import type { PackRow } from '../pack-table.ts';
import { rowChecksum, type SegmentRow } from '../segment-table.ts';
import { type FoundPack, isPack, packOf } from './found-packs.ts';
import {
  type Cell,
  guessCells,
  type NodeKind,
  readCell,
  readNode,
  readRecord,
} from './page-cells.ts';
import { PageFiles } from './page-files.ts';
import {
  type EntryRow,
  entryRow,
  epochRow,
  type HeadRow,
  headRow,
  type SegmentHead,
  segmentBody,
  segmentHead,
  setAsideHead,
} from './row-shapes.ts';

/**
 * How sure it is that a row belongs to the database: `live` in a node of a tree; `guess` in a
 * damaged page or in another version of one; `free` in a page that was given back, so that it
 * was answered for or evicted unless something else says that it waits.
 */
export type Standing = 'live' | 'guess' | 'free';

/** A row of `segments` and where it lies; whether it is intact is known when it is read. */
export interface FoundSegment extends SegmentHead {
  standing: Standing;
  page: number;
  /** 0: as the last commit left the page; from 1 on the other versions of it. */
  version: number;
  at: number;
}

/** An entry is a label set of at most 64 KiB with its tenant; what claims to be longer is none. */
const INDEX_RECORD_BYTES_MAX = 2 ** 18;

/**
 * Everything that the files of a buffer hold, found page by page: no key, no root and no name of a
 * table has to be readable. Rows are told apart by their shape, and are only as good as their
 * checksums and hash chains say.
 */
export class BufferImage {
  readonly pages: PageFiles;
  readonly segments: FoundSegment[] = [];
  /** Packs whose head is what was written. */
  readonly packs: FoundPack[] = [];
  /** Rows of `damaged_segments`. */
  readonly setAside: SegmentHead[] = [];
  /** Names of epochs by their keys. */
  readonly epochs = new Map<number, bigint>();
  /** By epoch key and id, every candidate there is. */
  readonly entries = new Map<number, Map<number, EntryRow[]>>();
  readonly heads: HeadRow[] = [];
  /** Pages whose structure is not what SQLite writes. */
  readonly damagedPages: number[] = [];

  /** Reads the files in `folder`; @throws errors of the file system, not of damage */
  constructor(folder: string) {
    this.pages = new PageFiles(folder);
    for (let number = 2; number <= this.pages.count; number++) {
      if (this.pages.isContent(number)) this.#readPage(number);
    }
  }

  /** The row with its body, undefined when it is not what was written. */
  read(found: FoundSegment): SegmentRow | undefined {
    const page = this.#version(found.page, found.version);
    const cell = page && readCell(page, found.at, 'table');
    const record = cell && readRecord(cell, this.pages);
    const body = record && segmentBody(record);
    if (body === undefined) return undefined;
    const { tenant, epoch, run, sequence, storedAt, samples, oldest, newest, crc } = found;
    const row = { tenant, epoch, run, sequence, storedAt, samples, oldest, newest, body };
    return rowChecksum(row) === crc ? row : undefined;
  }

  /** A pack with its body, undefined when it is not what was written. */
  readPack(found: FoundPack): PackRow | undefined {
    const page = this.#version(found.page, found.version);
    const cell = page && readCell(page, found.at, 'table');
    const record = cell && readRecord(cell, this.pages);
    const pack = record && packOf(record, found.key);
    if (pack === undefined || crc32(pack.body, found.headCrc) !== found.crc) return undefined;
    return { ...pack.head, body: pack.body };
  }

  close(): void {
    this.pages.close();
  }

  #version(number: number, version: number): Uint8Array | undefined {
    if (version === 0) return this.pages.page(number);
    return [...this.pages.others(number)][version - 1];
  }

  #readPage(number: number): void {
    const use = this.pages.use(number);
    const isFree = use === 'free' || number > this.pages.inUse;
    const page = this.pages.page(number);
    const node = readNode(page);
    for (const cell of node?.cells ?? []) {
      this.#take(node!.kind, cell, {
        standing: isFree ? 'free' : 'live',
        page: number,
        version: 0,
      });
    }
    const isNode = use === 'node' || use === 'root';
    if (!isFree && (node === undefined ? isNode : !node.isSound)) {
      this.damagedPages.push(number);
      this.#guess(page, { standing: 'guess', page: number, version: 0 });
    }
    let version = 0;
    for (const other of this.pages.others(number)) {
      const place = { standing: 'guess' as const, page: number, version: ++version };
      const node = readNode(other);
      for (const cell of node?.cells ?? []) this.#take(node!.kind, cell, place);
    }
  }

  #guess(page: Uint8Array, place: Place): void {
    for (const { kind, cell } of guessCells(page)) this.#take(kind, cell, place);
  }

  #take(kind: NodeKind, cell: Cell, place: Place): void {
    if (kind === 'table') this.#takeOfTable(cell, place);
    if (kind === 'index' || kind === 'index inner') this.#takeOfIndex(cell, place);
  }

  #takeOfTable(cell: Cell, place: Place): void {
    const segment = segmentHead(cell.local, cell.rowId);
    if (segment !== undefined) this.segments.push({ ...segment, ...place, at: cell.at });
    if (isPack(cell.local)) this.#takePack(cell, place);
    // What has no checksum of its own is believed only where it belongs.
    if (place.standing !== 'live') return;
    const setAside = setAsideHead(cell.local);
    if (setAside !== undefined) this.setAside.push(setAside);
    const epoch = epochRow(cell.local, cell.rowId);
    if (epoch !== undefined) this.epochs.set(epoch.key, epoch.epoch);
  }

  #takePack(cell: Cell, place: Place): void {
    // The positions of many segments do not fit on the page.
    const record = readRecord(cell, this.pages);
    const pack = record && packOf(record, cell.rowId);
    if (pack !== undefined) this.packs.push({ ...pack.head, ...place, at: cell.at });
  }

  #takeOfIndex(cell: Cell, { standing }: Place): void {
    if (cell.recordBytes > INDEX_RECORD_BYTES_MAX) return;
    const record = readRecord(cell, this.pages);
    if (record === undefined) return;
    const entry = entryRow(record);
    if (entry !== undefined) this.#addEntry(entry);
    const head = standing === 'live' ? headRow(record) : undefined;
    if (head !== undefined) this.heads.push(head);
  }

  #addEntry(row: EntryRow): void {
    let log = this.entries.get(row.epoch);
    if (log === undefined) {
      log = new Map();
      this.entries.set(row.epoch, log);
    }
    const known = log.get(row.id);
    if (known === undefined) log.set(row.id, [row]);
    else if (!known.some((other) => isSame(other, row))) known.push(row);
  }
}

type Place = Pick<FoundSegment, 'standing' | 'page' | 'version'>;

function isSame(a: EntryRow, b: EntryRow): boolean {
  return a.hash === b.hash && Buffer.compare(a.entry, b.entry) === 0;
}
