import { missingOf } from '../agent/buffer/missing.ts';
import type { OfflineBuffer, OfflineRow } from '../agent/buffer/salvage/offline-buffer.ts';
import { integrityProblems } from '../agent/buffer/salvage/sqlite-view.ts';
import { damageOfWal } from '../agent/buffer/salvage/wal-check.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import { tenantName, timeOrDash } from './buffer-names.ts';

export interface Verified {
  /** One line for each. */
  problems: string[];
  summary: string;
}

/** Checks the structure, the log, every row, every dictionary, and what the witness says. */
export function verify(buffer: OfflineBuffer): Verified {
  const { folder, image, witness } = buffer;
  const problems: string[] = [];
  const walDamage = damageOfWal(folder, witness);
  if (walDamage !== undefined) problems.push(walDamage);
  problems.push(...integrityProblems(image.pages).map((line) => `structure: ${line}`));
  const columns = new SampleColumns();
  const count = { segment: 0, pack: 0 };
  let samples = 0;
  for (const row of buffer.rows) {
    const read = buffer.read(row, columns);
    const name = nameOf(row);
    if (read === undefined) {
      problems.push(`${name}: damaged, ${rangeOf(row)}`);
      continue;
    }
    count[row.kind]++;
    samples += row.samples;
    const nameless = namelessSamples(buffer, read.epoch, columns);
    if (nameless > 0) problems.push(`${name}: ${nameless} samples name entries that are lost`);
  }
  problems.push(...dictionaryProblems(buffer), ...witnessProblems(buffer));
  const contents = `${count.segment} segments, ${count.pack} packs`;
  const state = problems.length === 0 ? 'OK' : `${problems.length} problems`;
  return { problems, summary: `${folder}: ${state} (${contents}, ${samples} samples)` };
}

function nameOf({ tenant, kind, positions }: OfflineRow): string {
  const { run, sequence } = positions[0]!;
  const more = positions.length > 1 ? ` and ${positions.length - 1} more` : '';
  const first = kind === 'pack' ? `pack of segment ${sequence}` : `segment ${sequence}`;
  return `${first} of run ${run}${more}, tenant ${tenantName(tenant)}`;
}

function rangeOf({ samples, oldest, newest }: OfflineRow): string {
  return `${samples} samples from ${timeOrDash(oldest)} to ${timeOrDash(newest)}`;
}

function namelessSamples(buffer: OfflineBuffer, epoch: number, columns: SampleColumns): number {
  const log = buffer.log(epoch);
  const ids = columns.ids.subarray(0, columns.count);
  return ids.reduce((sum, id) => sum + (log.resolves(id) ? 0 : 1), 0);
}

function dictionaryProblems(buffer: OfflineBuffer): string[] {
  const problems: string[] = [];
  const { epochs, entries } = buffer.image;
  for (const key of entries.keys()) {
    const log = buffer.log(key);
    const gap = log.entries.indexOf(undefined);
    const first = gap < 0 ? log.entries.length : gap;
    const name = epochs.get(key)?.toString(16).padStart(16, '0');
    if (name === undefined) problems.push(`dictionary ${key}: the name of its epoch is lost`);
    if (!log.isWhole) {
      problems.push(`dictionary ${name ?? key}: ${log.lost} entries are damaged, from ${first} on`);
    }
    if (log.damagedHashes > 0) {
      problems.push(`dictionary ${name ?? key}: ${log.damagedHashes} hashes are damaged`);
    }
  }
  return problems;
}

/**
 * What is missing without having left a row. Beside a running agent the witness is of another
 * moment and proves nothing.
 */
function witnessProblems({ witness, isInUse, rows }: OfflineBuffer): string[] {
  if (witness === 'unreadable') return ['witness: high-water.json cannot be read'];
  if (witness === 'none' || isInUse) return [];
  return Object.entries(witness.waiting).flatMap(([tenant, ranges]) =>
    ranges.flatMap((range) => {
      const { run, first, last } = range;
      const found = rows
        .filter((row) => row.tenant === tenant)
        .flatMap(({ positions }) => positions)
        .filter((at) => at.run === run && first <= at.sequence && at.sequence <= last)
        .sort((one, other) => one.sequence - other.sequence);
      return missingOf(tenant, range, found).map(
        ({ samples, oldest, newest }) =>
          `witness: ${samples} samples of tenant ${tenantName(tenant)} are missing, between ` +
          `${timeOrDash(oldest)} and ${timeOrDash(newest)}`,
      );
    }),
  );
}
