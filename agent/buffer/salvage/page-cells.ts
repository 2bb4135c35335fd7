import { PAGE_BYTES } from '../schema.ts';
import type { PageFiles } from './page-files.ts';
import { VarintCursor } from './record.ts';

// A node of a tree (sqlite.org/fileformat2.html#b_tree_pages), numbers big-endian:
//
//   type          1   13 leaf of a table, 5 inner; 10 leaf of an index, 2 inner
//   free block    2   first one; each begins with where the next is and how long it is itself
//   cells         2   how many
//   content from  2   cells lie at the end of the page
//   fragments     1   bytes lost between cells
//   rightmost     4   child, in inner nodes
//   pointers      2 each: where a cell begins
//
// A cell of a table's leaf: varint bytes of the record, varint row id, record. Of an index: bytes,
// record. Inner nodes have four bytes in front that name the child; those of a table then only the
// row id. What of a record does not fit the page lies on overflow pages, each of which begins with
// four bytes that name the next one.

export type NodeKind = 'table' | 'table inner' | 'index' | 'index inner';
const KINDS = new Map<number, NodeKind>([
  [13, 'table'],
  [5, 'table inner'],
  [10, 'index'],
  [2, 'index inner'],
]);

/** A record that is larger than any that the buffer writes. */
const RECORD_BYTES_MAX = 256 * 2 ** 20;
const CELL_BYTES_MIN = 4;
const CHILD_BYTES = 4;
const OVERFLOW_CONTENT_BYTES = PAGE_BYTES - 4;

/** A cell within a page. */
export interface Cell {
  at: number;
  end: number;
  rowId: number;
  recordBytes: number;
  /** The part of the record on this page. */
  local: Uint8Array;
  /** First overflow page; 0: none. */
  overflow: number;
}

export interface Node {
  kind: NodeKind;
  cells: Cell[];
  /** Whether its parts add up: nothing can have been left out. */
  isSound: boolean;
}

/** The node in `page`; undefined when it is none. */
export function readNode(page: Uint8Array): Node | undefined {
  const kind = KINDS.get(page[0]!);
  if (kind === undefined) return undefined;
  const view = viewOf(page);
  const count = view.getUint16(3);
  // 0 stands for 65,536, as a page of that size would need it.
  const contentFrom = view.getUint16(5);
  const pointersAt = isInner(kind) ? 12 : 8;
  const cells: Cell[] = [];
  let usedBytes = page[7]! + freeBytes(view);
  let isSound = pointersAt + count * 2 <= contentFrom;
  for (let index = 0; index < count && pointersAt + index * 2 + 2 <= PAGE_BYTES; index++) {
    const at = view.getUint16(pointersAt + index * 2);
    const cell = at >= pointersAt ? readCell(page, at, kind) : undefined;
    if (cell === undefined) isSound = false;
    else {
      cells.push(cell);
      usedBytes += Math.max(CELL_BYTES_MIN, cell.end - cell.at);
    }
  }
  return { kind, cells, isSound: isSound && usedBytes === PAGE_BYTES - contentFrom };
}

/** Every place in a damaged page where a cell could begin: whoever asks has to verify the row. */
export function* guessCells(page: Uint8Array): Generator<{ kind: NodeKind; cell: Cell }> {
  for (let at = 8; at < PAGE_BYTES - CELL_BYTES_MIN; at++) {
    for (const kind of ['table', 'index'] as const) {
      const cell = readCell(page, at, kind);
      if (cell !== undefined) yield { kind, cell };
    }
  }
}

/** The cell at `at`, undefined when it does not fit the page. */
export function readCell(page: Uint8Array, at: number, kind: NodeKind): Cell | undefined {
  const cursor = new VarintCursor(page, isInner(kind) ? at + CHILD_BYTES : at);
  const recordBytes = kind === 'table inner' ? 0 : cursor.next();
  const rowId = kind === 'table' || kind === 'table inner' ? cursor.next() : 0;
  if (Number.isNaN(rowId)) return undefined;
  const from = cursor.at;
  if (kind === 'table inner') {
    return { at, end: from, rowId, recordBytes, local: new Uint8Array(0), overflow: 0 };
  }
  if (!(recordBytes > 0 && recordBytes <= RECORD_BYTES_MAX)) return undefined;
  const localBytes = bytesOnPage(recordBytes, kind);
  const isLong = localBytes < recordBytes;
  const end = from + localBytes + (isLong ? 4 : 0);
  if (end > PAGE_BYTES) return undefined;
  const local = page.subarray(from, from + localBytes);
  const overflow = isLong ? viewOf(page).getUint32(from + localBytes) : 0;
  return { at, end, rowId, recordBytes, local, overflow };
}

/** The whole record of a cell; undefined when its overflow pages do not hold together. */
export function readRecord(cell: Cell, pages: PageFiles): Uint8Array | undefined {
  if (cell.local.length === cell.recordBytes) return cell.local;
  if (cell.recordBytes > pages.bytes) return undefined;
  const record = new Uint8Array(cell.recordBytes);
  record.set(cell.local);
  let filled = cell.local.length;
  for (let next = cell.overflow; filled < record.length; ) {
    if (next < 2 || next > pages.count) return undefined;
    const page = pages.page(next);
    const content = page.subarray(4, 4 + Math.min(OVERFLOW_CONTENT_BYTES, record.length - filled));
    record.set(content, filled);
    filled += content.length;
    next = viewOf(page).getUint32(0);
  }
  return record;
}

/** How much of a record stays on its page. */
function bytesOnPage(recordBytes: number, kind: NodeKind): number {
  const most = kind === 'table' ? PAGE_BYTES - 35 : share(64);
  if (recordBytes <= most) return recordBytes;
  const least = share(32);
  const fitting = least + ((recordBytes - least) % OVERFLOW_CONTENT_BYTES);
  return fitting <= most ? fitting : least;
}

function share(of255: number): number {
  return Math.floor(((PAGE_BYTES - 12) * of255) / 255) - 23;
}

function freeBytes(view: DataView): number {
  let bytes = 0;
  let blocks = 0;
  for (let at = view.getUint16(1); at > 0 && at <= PAGE_BYTES - 4; at = view.getUint16(at)) {
    bytes += view.getUint16(at + 2);
    if (++blocks > PAGE_BYTES / 4) break;
  }
  return bytes;
}

function isInner(kind: NodeKind): boolean {
  return kind === 'table inner' || kind === 'index inner';
}

function viewOf(page: Uint8Array): DataView {
  return new DataView(page.buffer, page.byteOffset, page.length);
}
