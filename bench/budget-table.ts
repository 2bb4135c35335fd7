import {
  type BorderBudget,
  framingBytes,
  secondHalfSectionBytes,
  totalBytes,
} from './border-budget.ts';
import { formatTable } from './table.ts';

/** Where the bytes on the wire went, in all and for each of `count`; `each` says what they are. */
export function budgetTable(budget: BorderBudget, count: number, each: string): string {
  const { bytes, exchanges, sections, seriesEntries, metadataEntries } = budget;
  const row = (name: string, lineBytes: number) => [
    name,
    String(lineBytes),
    (lineBytes / count).toFixed(3),
  ];
  const table = formatTable([
    ['budget', 'bytes', each],
    row('samples', bytes.samples),
    row(`dictionary: ${seriesEntries} series`, bytes.seriesEntries),
    row(`dictionary: ${metadataEntries} metadata records`, bytes.metadataEntries),
    row('envelopes', bytes.envelopes),
    row('HTTP up', bytes.httpUp),
    row('HTTP down', bytes.httpDown),
    row('answers', bytes.answers),
    row('cut off', bytes.broken),
    row('TCP payload, both ways', totalBytes(bytes)),
  ]);
  const framing = framingBytes(bytes);
  return [
    table,
    `  ${exchanges} exchanges, ${(framing / exchanges).toFixed(0)} bytes of framing each`,
    `  ${sections.length} samples sections, before zstd: ` +
      `${secondHalfSectionBytes(budget).toFixed(4)} bytes per sample over the second half`,
  ].join('\n');
}
