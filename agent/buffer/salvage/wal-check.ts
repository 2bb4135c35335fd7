import { REMOVALS } from '../database.ts';
import type { HighWater } from '../high-water.ts';
import { readNode, readRecord } from './page-cells.ts';
import { PageFiles } from './page-files.ts';
import { headRow, segmentHead } from './row-shapes.ts';

/** A run, a tenant and a number are much shorter. */
const HEAD_BYTES_MAX = 1000;

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
    const { run, tenants } = witness;
    const known = addedBy(pages, run).filter(
      ({ tenant, sequence }) => sequence <= (tenants[tenant] ?? 0),
    );
    return isMissing(known, pages, run)
      ? 'the last frames of the write-ahead log are damaged'
      : undefined;
  } finally {
    pages.close();
  }
}

interface Added {
  tenant: string;
  sequence: number;
}

/**
 * Segments and last sequences of a run that the frames hold at which SQLite would stop: those that
 * were not in the same pages before, where a commit may only have moved them.
 */
function addedBy(pages: PageFiles, run: string): Added[] {
  const frames = pages.wal.frames.slice(pages.wal.readable);
  const before = new Set(
    frames.flatMap(({ page }) => sequencesIn(pages.readable(page), pages, run)).map(keyOf),
  );
  return frames
    .flatMap((frame) => pages.framePage(frame) ?? [])
    .flatMap((page) => sequencesIn(page, pages, run))
    .filter((added) => !before.has(keyOf(added)));
}

/** Whether some of these are nowhere else: a commit may have moved them from any other page. */
function isMissing(added: readonly Added[], pages: PageFiles, run: string): boolean {
  const missing = new Set(added.map(keyOf));
  for (let page = 2; page <= pages.count && missing.size > 0; page++) {
    for (const there of sequencesIn(pages.readable(page), pages, run)) missing.delete(keyOf(there));
  }
  return missing.size > 0;
}

function sequencesIn(page: Uint8Array, pages: PageFiles, run: string): Added[] {
  const cells = readNode(page)?.cells ?? [];
  return cells.flatMap((cell) => {
    const segment = segmentHead(cell.local, cell.rowId);
    if (segment?.run === run) return [segment];
    const record = cell.recordBytes > HEAD_BYTES_MAX ? undefined : readRecord(cell, pages);
    const head = record && headRow(record);
    if (head?.run !== run || head.tenant === REMOVALS) return [];
    return [{ tenant: head.tenant, sequence: head.last }];
  });
}

function keyOf({ tenant, sequence }: Added): string {
  return `${sequence} ${tenant}`;
}
