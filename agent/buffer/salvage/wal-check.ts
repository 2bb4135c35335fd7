import type { HighWater } from '../high-water.ts';
import { readNode, readRecord } from './page-cells.ts';
import { PageFiles } from './page-files.ts';
import { headRow, segmentHead } from './row-shapes.ts';

/**
 * Whether SQLite, opening the database in `folder`, would silently pass over commits that were
 * synced; says what is wrong then. A last commit that is not whole is no damage as a rule but what
 * a power cut leaves, unless the witness knows that it was acknowledged.
 */
export function damageOfWal(
  folder: string,
  witness: HighWater | 'none' | 'unreadable',
): string | undefined {
  const pages = new PageFiles(folder);
  try {
    const { condition, committed } = pages.wal;
    if (pages.isEmpty && committed > 0) return 'the database is gone beside its write-ahead log';
    if (condition === 'damaged') return 'frames of the write-ahead log are damaged';
    if (condition !== 'torn' || typeof witness === 'string') return undefined;
    const isKnown = hasKnownHead(pages, witness) || hasKnownSegment(pages, witness);
    return isKnown ? 'the last frames of the write-ahead log are damaged' : undefined;
  } finally {
    pages.close();
  }
}

/** Every commit of segments writes the last sequences of their tenants. */
function hasKnownHead(pages: PageFiles, { run, tenants }: HighWater): boolean {
  const heads = unreadNodes(pages)
    .flatMap((page) => readNode(page)?.cells ?? [])
    .map((cell) => readRecord(cell, pages))
    .map((record) => record && headRow(record))
    .filter((head) => head?.run === run);
  return heads.length > 0 && heads.every((head) => head!.last <= (tenants[head!.tenant] ?? 0));
}

/** A segment that was not there before, and that the witness knows of. */
function hasKnownSegment(pages: PageFiles, witness: HighWater): boolean {
  const before = new Set<string>();
  for (const { page } of unreadFrames(pages)) {
    for (const { tenant, sequence } of segmentsOf(pages.readable(page), witness.run)) {
      before.add(`${sequence} ${tenant}`);
    }
  }
  return unreadNodes(pages)
    .flatMap((page) => segmentsOf(page, witness.run))
    .filter(({ tenant, sequence }) => !before.has(`${sequence} ${tenant}`))
    .some(({ tenant, sequence }) => sequence <= (witness.tenants[tenant] ?? 0));
}

/** The frames at which SQLite would stop, and those behind. */
function unreadFrames(pages: PageFiles) {
  return pages.wal.frames.slice(pages.wal.readable);
}

function unreadNodes(pages: PageFiles): Uint8Array[] {
  return unreadFrames(pages).flatMap((frame) => pages.framePage(frame) ?? []);
}

function segmentsOf(page: Uint8Array, run: string): { tenant: string; sequence: number }[] {
  const cells = readNode(page)?.cells ?? [];
  return cells.flatMap((cell) => {
    const row = segmentHead(cell.local, cell.rowId);
    return row?.run === run ? [row] : [];
  });
}
