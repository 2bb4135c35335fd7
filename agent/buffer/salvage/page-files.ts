import { closeSync, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { readAt } from '../../../base/sqlite/read-at.ts';
import {
  readFramePage,
  readWalFile,
  type WalFile,
  type WalFrame,
} from '../../../base/sqlite/wal-file.ts';
import { PAGE_BYTES } from '../schema.ts';

/** Every page between two map pages has an entry of five bytes in the first of them. */
const MAP_ENTRY_BYTES = 5;
const MAPPED_PAGES = Math.floor(PAGE_BYTES / MAP_ENTRY_BYTES);
/** The page that holds the byte at 1 GiB is never used: SQLite locks it. */
const LOCK_PAGE = 2 ** 30 / PAGE_BYTES + 1;

/** What the map of an auto-vacuum database says about a page. */
export type PageUse = 'root' | 'free' | 'overflow' | 'node' | 'unknown';
const USES: readonly PageUse[] = ['unknown', 'root', 'free', 'overflow', 'overflow', 'node'];

/**
 * The pages of a buffer's database, read from its files without SQLite and without changing a
 * byte: those in the write-ahead log over those in the database.
 *
 * While an agent writes, a reader has to hold a snapshot (sqlite-view.ts): only then does no
 * checkpoint touch the pages read here.
 */
export class PageFiles {
  readonly wal: WalFile;
  /** Pages of both files, of which those behind `inUse` are no part of the database any more. */
  readonly count: number;
  readonly inUse: number;
  /** Whether there is no database beside the log. */
  readonly isEmpty: boolean;
  readonly #database: number | undefined;
  readonly #wal: number | undefined;
  /** Frames of each page, in the order of writing: those of commits, and those of none. */
  readonly #committed: Map<number, WalFrame[]>;
  readonly #uncommitted: Map<number, WalFrame[]>;
  #map: { page: number; bytes: Uint8Array } | undefined;

  /** Opens `buffer.db` and `buffer.db-wal` in `folder`; either may be missing. */
  constructor(folder: string) {
    this.#database = openIfThere(join(folder, 'buffer.db'));
    this.#wal = openIfThere(join(folder, 'buffer.db-wal'));
    this.wal =
      this.#wal === undefined
        ? { frames: [], committed: 0, readable: 0, condition: 'sound' }
        : readWalFile(this.#wal, fstatSync(this.#wal).size, PAGE_BYTES);
    const bytes = this.#database === undefined ? 0 : fstatSync(this.#database).size;
    const filePages = Math.ceil(bytes / PAGE_BYTES);
    const { frames, committed } = this.wal;
    this.#committed = Map.groupBy(frames.slice(0, committed), ({ page }) => page);
    this.#uncommitted = Map.groupBy(frames.slice(committed), ({ page }) => page);
    this.count = frames
      // A damaged page number could name a page beyond anything.
      .filter(({ isVerified }) => isVerified)
      .reduce((most, { page }) => Math.max(most, page), filePages);
    this.isEmpty = bytes === 0;
    const lastCommit = frames.findLast(
      ({ isVerified, commitPages }) => isVerified && commitPages > 0,
    );
    this.inUse = lastCommit?.commitPages ?? filePages;
  }

  get bytes(): number {
    return this.count * PAGE_BYTES;
  }

  /** The page as the last commit left it. */
  page(number: number): Uint8Array {
    const frame = this.#committed.get(number)?.at(-1);
    return (frame && this.framePage(frame)) ?? this.#pageOfDatabase(number);
  }

  /** The page as SQLite would read it. */
  readable(number: number): Uint8Array {
    const { frames, readable } = this.wal;
    const frame = frames.slice(0, readable).findLast(({ page }) => page === number);
    return (frame && this.framePage(frame)) ?? this.#pageOfDatabase(number);
  }

  /**
   * Other versions of a page that may hold rows, the likeliest first: those of a commit without an
   * end, which may be what is damaged, and, where the last version is not what was written, those
   * before it.
   */
  *others(number: number): Generator<Uint8Array> {
    for (const frame of this.#uncommitted.get(number)?.toReversed() ?? []) {
      yield this.framePage(frame) ?? this.#pageOfDatabase(number);
    }
    const frames = this.#committed.get(number) ?? [];
    for (let index = frames.length - 1; index >= 0; index--) {
      if (frames[index]!.isVerified) return;
      const before = frames[index - 1];
      yield (before && this.framePage(before)) ?? this.#pageOfDatabase(number);
    }
  }

  /** Whether the page may be a node of a tree at all: pages of SQLite's own are not. */
  isContent(number: number): boolean {
    return number > 1 && number !== LOCK_PAGE && mapPageOf(number) !== number;
  }

  use(number: number): PageUse {
    const mapPage = mapPageOf(number);
    if (this.#map?.page !== mapPage) this.#map = { page: mapPage, bytes: this.page(mapPage) };
    return USES[this.#map.bytes[(number - mapPage - 1) * MAP_ENTRY_BYTES] ?? 0] ?? 'unknown';
  }

  close(): void {
    for (const file of [this.#database, this.#wal]) if (file !== undefined) closeSync(file);
  }

  /** Undefined when the log has been written over since it was read. */
  framePage(frame: WalFrame): Uint8Array | undefined {
    return this.#wal === undefined ? undefined : readFramePage(this.#wal, frame, PAGE_BYTES);
  }

  /** Zeros where the file ends before, or where the disk cannot read. */
  #pageOfDatabase(number: number): Uint8Array {
    if (this.#database === undefined) return Buffer.alloc(PAGE_BYTES);
    return readAt(this.#database, (number - 1) * PAGE_BYTES, PAGE_BYTES);
  }
}

/** Page 2 is the first map page; each maps as many pages behind it as it has entries for. */
function mapPageOf(number: number): number {
  const group = Math.floor((number - 2) / (MAPPED_PAGES + 1));
  const mapPage = group * (MAPPED_PAGES + 1) + 2;
  return mapPage === LOCK_PAGE ? mapPage + 1 : mapPage;
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
