import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { SamplesDecoder } from '../../../proto/codec/samples-decoder.ts';
import { SamplesEncoder } from '../../../proto/codec/samples-encoder.ts';
import { SampleColumns } from '../../../proto/sample-columns.ts';
import { difference } from './codec-fixture.ts';

const text = readFileSync(new URL('../../../docs/wire-samples.md', import.meta.url), 'utf8');

/** The samples of a section in the document's table. */
function tabled(section: number): SampleColumns {
  const columns = new SampleColumns();
  const row = /^\| (\d) \| (\d+) \| (\d+) \| ([0-9a-f]{8})([0-9a-f]{8}) \|$/gm;
  for (const [, number, id, timestamp, high = '', low = ''] of text.matchAll(row)) {
    if (Number(number) !== section) continue;
    columns.push(
      Number(id),
      Number(timestamp),
      Number.parseInt(low, 16),
      Number.parseInt(high, 16),
    );
  }
  return columns;
}

function sectionHex(section: number): string {
  return new RegExp(`^ {4}section ${section}: ([0-9a-f]+)$`, 'm').exec(text)?.[1] ?? '';
}

it('the sections in docs/wire-samples.md are what the encoder writes and the decoder reads', () => {
  const encoder = new SamplesEncoder(() => 0);
  const decoder = new SamplesDecoder({ idsMax: 4 });
  for (const [section, count] of [
    [1, 3],
    [2, 4],
  ] as const) {
    const columns = tabled(section);
    expect(columns.count).toBe(count);
    expect(Buffer.from(encoder.encode(columns)).toString('hex')).toBe(sectionHex(section));
    const decoded = new SampleColumns();
    decoder.decode(Buffer.from(sectionHex(section), 'hex'), count, decoded);
    expect(difference(columns, decoded)).toBeUndefined();
  }
});
