import { expect, test } from 'vitest';
import { nodeMix15s, readCapture } from '../../bench/capture.ts';
import { CapturedSamples } from '../../bench/captured-samples.ts';
import { batchColumns } from '../../bench/formats/batch-columns.ts';
import { snappy, zstd3 } from '../../bench/formats/compression.ts';
import { remoteWrite1 } from '../../bench/formats/remote-write-1.ts';
import { remoteWrite2 } from '../../bench/formats/remote-write-2.ts';
import { measure, type WireFormat } from '../../bench/formats/wire-format.ts';
import { canonicalLabelSet } from '../../proto/label-set.ts';
import { WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';

const formats = [remoteWrite1(snappy), remoteWrite1(zstd3), remoteWrite2(snappy)];
formats.push(batchColumns(zstd3));
const beginning = new CapturedSamples(readCapture(nodeMix15s).slice(0, 8));

/** One request with a series for each of these values, as halves of their bits. */
function capturedValues(values: readonly (readonly [low: number, high: number])[]) {
  const encoder = new WriteRequestEncoder();
  values.forEach(([low, high], at) => {
    const labels = labelBytes([
      ['__name__', 'odd'],
      ...(at % 2 === 0 ? [['also', `\xff${at}`] as const] : []),
      ['zone', '\xc3\x28'],
    ]);
    encoder.series(labels, 0, labels.length);
    encoder.sample(1_700_000_000_000 + at, low, high);
  });
  return new CapturedSamples([{ arrivedAtMs: 0, body: Buffer.from(encoder.finish()) }]);
}

function labelBytes(labels: readonly (readonly [string, string])[]): Uint8Array {
  const field = (tag: number, content: Buffer) =>
    Buffer.concat([Buffer.from([tag, content.length]), content]);
  const bytes = labels.map(([name, value]) =>
    field(
      0x0a,
      Buffer.concat([
        field(0x0a, Buffer.from(name, 'latin1')),
        field(0x12, Buffer.from(value, 'latin1')),
      ]),
    ),
  );
  const verdict = canonicalLabelSet(Buffer.concat(bytes));
  if (verdict.kind !== 'canonical') throw new Error(verdict.reason);
  return verdict.bytes;
}

test.each(formats)('$name brings back the first requests of the capture', (format) => {
  expect(beginning.columns.count).toBeGreaterThan(5000);
  const bodyBytes = measure(format, beginning, beginning.requests);
  expect(bodyBytes / beginning.columns.count).toBeGreaterThan(1);
});

test.each(formats)('$name keeps odd values and labels that are no UTF-8', (format) => {
  const samples = capturedValues([
    [0x0000_0002, 0x7ff0_0000],
    [0, 0x8000_0000],
    [1, 0],
    [0xdead_beef, 0x7ff8_0001],
  ]);
  expect(samples.columns.count).toBe(4);
  measure(format, samples, samples.requests);
});

test('a format that changes one bit of one sample is found out', () => {
  const sound = remoteWrite1(snappy);
  let seen = 0;
  const broken: WireFormat = {
    ...sound,
    decode: (body, visit) =>
      sound.decode(body, (labels, timestamp, low, high) =>
        visit(labels, timestamp, ++seen === 1234 ? low ^ 1 : low, high),
      ),
  };
  expect(() => measure(broken, beginning, beginning.requests)).toThrow('sample 1233 is not');
});

test('a format that loses its last sample is found out', () => {
  const sound = remoteWrite2(snappy);
  const broken: WireFormat = {
    ...sound,
    encode: (samples, { from, to }) => sound.encode(samples, { from, to: to - 1 }),
  };
  expect(() => measure(broken, beginning, beginning.requests)).toThrow('1 samples are missing');
});

test('the unchanged share counts samples with the same bits as their predecessor', () => {
  const request = capturedValues([
    [1, 2],
    [3, 4],
  ]);
  expect(request.unchangedShare()).toBe(0);
  const encoder = new WriteRequestEncoder();
  const labels = labelBytes([['__name__', 'up']]);
  for (const low of [7, 7, 8, 7]) {
    encoder.series(labels, 0, labels.length);
    encoder.sample(low, low, 0);
  }
  const body = Buffer.from(encoder.finish());
  expect(new CapturedSamples([{ arrivedAtMs: 0, body }]).unchangedShare()).toBe(0.25);
});

test('batches hold every row once, in order', () => {
  const rows = beginning.batches(5000);
  expect(rows[0]?.from).toBe(0);
  expect(rows.at(-1)?.to).toBe(beginning.columns.count);
  rows.slice(1).forEach(({ from }, at) => {
    expect(from).toBe(rows[at]?.to);
  });
});
