import type { OfflineBuffer } from '../agent/buffer/salvage/offline-buffer.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import { tenantName, timeOrDash } from './buffer-names.ts';

interface TenantSum {
  segments: number;
  packs: number;
  samples: number;
  bytes: number;
  oldest: number;
  newest: number;
  damaged: number;
}

/** What a buffer holds, for people. */
export function inspect(buffer: OfflineBuffer): string {
  const { folder, image } = buffer;
  const { wal, count, inUse } = image.pages;
  const sums = sumsByTenant(buffer);
  const damaged = sums.values().reduce((sum, tenant) => sum + tenant.damaged, 0);
  return table([
    ['folder', folder],
    ['in use by', buffer.isInUse ? 'an agent: this is one moment of it' : 'nobody'],
    ['pages', `${inUse} of 16 KiB, ${count - inUse} behind the end`],
    ['write-ahead log', `${wal.frames.length} frames, ${wal.condition}`],
    ['damaged', `${damaged} segments and packs, ${image.damagedPages.length} pages`],
    ['set aside', `${image.setAside.length} segments were damaged earlier`],
    ['witness', witnessText(buffer)],
    [],
    ['epoch', 'key', 'entries', 'lost'],
    ...epochRows(buffer),
    [],
    ['tenant', 'segments', 'packs', 'samples', 'bytes', 'oldest', 'newest', 'damaged'],
    ...Array.from(sums, ([tenant, sum]) => [
      tenantName(tenant),
      String(sum.segments),
      String(sum.packs),
      String(sum.samples),
      String(sum.bytes),
      timeOrDash(sum.oldest),
      timeOrDash(sum.newest),
      String(sum.damaged),
    ]),
  ]);
}

function sumsByTenant(buffer: OfflineBuffer): Map<string, TenantSum> {
  const sums = new Map<string, TenantSum>();
  const columns = new SampleColumns();
  for (const row of buffer.rows) {
    const read = buffer.read(row, columns);
    const { tenant } = row;
    const sum = sums.get(tenant) ?? {
      segments: 0,
      packs: 0,
      samples: 0,
      bytes: 0,
      oldest: Number.POSITIVE_INFINITY,
      newest: Number.NEGATIVE_INFINITY,
      damaged: 0,
    };
    sums.set(tenant, sum);
    if (read === undefined) {
      sum.damaged++;
      continue;
    }
    sum[row.kind === 'pack' ? 'packs' : 'segments']++;
    sum.samples += row.samples;
    sum.bytes += read.bytes;
    sum.oldest = Math.min(sum.oldest, row.oldest);
    sum.newest = Math.max(sum.newest, row.newest);
  }
  return sums;
}

function epochRows(buffer: OfflineBuffer): string[][] {
  const { epochs, entries } = buffer.image;
  const keys = [...new Set([...epochs.keys(), ...entries.keys()])].sort((a, b) => a - b);
  return keys.map((key) => {
    const log = buffer.log(key);
    const name = epochs.get(key)?.toString(16).padStart(16, '0') ?? '(name lost)';
    return [name, String(key), String(log.entries.length), String(log.lost)];
  });
}

function witnessText({ witness }: OfflineBuffer): string {
  if (typeof witness === 'string') return witness;
  const ranges = Object.values(witness.waiting).flat();
  const samples = ranges.reduce((sum, range) => sum + range.samples, 0);
  return `run ${witness.run}, ${samples} samples waited at ${timeOrDash(witness.writtenAt)}`;
}

/** Columns as wide as they have to be; an empty row separates tables. */
function table(rows: readonly string[][]): string {
  const lines: string[] = [];
  let from = 0;
  for (let to = 0; to <= rows.length; to++) {
    if (to < rows.length && rows[to]!.length > 0) continue;
    const part = rows.slice(from, to);
    const widths = part.reduce<number[]>(
      (widest, row) => row.map((cell, at) => Math.max(widest[at] ?? 0, cell.length)),
      [],
    );
    for (const row of part) {
      lines.push(
        row
          .map((cell, at) => cell.padEnd(widths[at]!))
          .join('  ')
          .trimEnd(),
      );
    }
    lines.push('');
    from = to + 1;
  }
  return `${lines.join('\n').trimEnd()}\n`;
}
