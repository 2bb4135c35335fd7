import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Exported, exportBuffer } from '../../cli/buffer-export.ts';
import { type ExportOptions, parseExportFlags } from '../../cli/buffer-export-flags.ts';
import { encodeSeriesEntry } from '../../proto/dictionary-entry.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { openBuffer, seriesEntries, T0 } from '../agent/buffer-fixture.ts';
import { lossAllowed, RowMap } from '../agent/salvage-check.ts';
import { labelBytes } from '../hub/series-fixture.ts';
import { exemplarBytes, histogramBytes } from '../proto/objects/columns-fixture.ts';
import { DAMAGES_OF_DATABASE } from '../tools/buffer-damages.ts';
import { debianProgram } from '../tools/debian.ts';
import { decodeExactly, labelNotation } from '../tools/exact-remote-write.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { decodeWhole1 } from '../tools/whole-remote-write.ts';
import { BufferFolders, reading, run, starferryBuffer } from './buffer-fixture.ts';

let folders: BufferFolders;

beforeAll(() => {
  folders = new BufferFolders('buffer-export');
});
afterAll(() => folders.workspace.close());

function exported(folder: string, options: Partial<ExportOptions>): Exported {
  const all = { tenants: [], fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
  const out = folders.freshPath('out');
  return reading(folder, (buffer) =>
    exportBuffer(buffer, { format: 'remote-write', out, ...all, ...options }),
  );
}

/** `{labels} timestamp bits` of every sample in the bodies of a tenant, in order. */
function samplesIn(folder: string): string[] {
  const bodies = readdirSync(folder).filter((name) => name !== 'metadata.snappy');
  return bodies
    .sort()
    .flatMap((name) =>
      decodeExactly(readFileSync(join(folder, name))).flatMap(({ labels, samples }) =>
        samples.map(({ timestamp, bits }) => `${labelNotation(labels)} ${timestamp} ${bits}`),
      ),
    );
}

describe('export', () => {
  test('as remote write holds every sample of every tenant, bit for bit and in order', () => {
    const out = folders.freshPath('out');
    const { lines } = exported(folders.filled.killed.dataDir, { out });
    expect(lines).toEqual([
      `${folders.filled.killed.waiting.length} samples of 3 tenants exported`,
    ]);
    for (const tenant of ['', 'a', 'b']) {
      const expected = folders.filled.killed.waiting.filter((sample) => sample.tenant === tenant);
      const found = samplesIn(join(out, tenant === '' ? '@default' : tenant));
      expect(found.map((text) => text.split(' ').at(-2))).toEqual(
        expected.map(({ timestamp }) => String(timestamp)),
      );
      expect(found.map(bitsOf)).toEqual(expected.map(bitsOfKnown));
    }
  });

  test('of a damaged buffer holds all but what is damaged, and says so', () => {
    const dataDir = folders.copyOf(folders.filled.closed.dataDir);
    const damage = DAMAGES_OF_DATABASE.find(({ name }) => name.includes('leaf of the segments'))!;
    const hits = damage.apply(dataDir, seededRandom('export'));
    const isLost = lossAllowed(new RowMap(folders.filled.closed.dataDir), hits);
    const out = folders.freshPath('out');
    exported(dataDir, { out });
    const found = ['@default', 'a', 'b'].flatMap((tenant) => samplesIn(join(out, tenant)));
    expect(found.length).toBe(
      folders.filled.closed.waiting.filter((sample) => !isLost(sample)).length,
    );
  });

  test('is limited to tenants and to a time range', () => {
    const { waiting, dataDir } = folders.filled.closed;
    const [from, to] = [waiting[5000]!.timestamp, waiting[9000]!.timestamp];
    const out = folders.freshPath('out');
    exported(dataDir, { out, tenants: ['b'], fromMs: from, toMs: to });
    expect(readdirSync(out)).toEqual(['b']);
    const expected = waiting.filter(
      ({ tenant, timestamp }) => tenant === 'b' && timestamp >= from && timestamp <= to,
    );
    expect(samplesIn(join(out, 'b')).length).toBe(expected.length);
  });

  test('as OpenMetrics is taken by promtool, and every number arrives', async () => {
    const dataDir = folders.workspace.subfolder('numbers');
    const { expected, staleMarkers } = fillWithNumbers(dataDir);
    const out = folders.freshPath('out');
    const { lines } = exported(dataDir, { format: 'openmetrics', out });
    expect(lines).toEqual([
      `${staleMarkers} stale markers were left out: the text format has none`,
      '1 values are a plain NaN in the text: it has no others',
      '2 samples were left out: the text format cannot hold their labels',
      expect.stringContaining('1 tenants exported'),
    ]);
    const promtool = join(dirname(await debianProgram('prometheus')), 'promtool');
    const blocks = folders.freshPath('blocks');
    const text = join(out, '@default.txt');
    // `dump` looks for a log beside the blocks.
    mkdirSync(join(blocks, 'wal'), { recursive: true });
    await run(promtool, ['tsdb', 'create-blocks-from', 'openmetrics', text, blocks]);
    const { stdout } = await run(promtool, ['tsdb', 'dump', blocks]);
    expect(stdout.trimEnd().split('\n').sort()).toEqual(expected.sort());
  });

  test('as remote write holds native histograms and exemplars, in their order', () => {
    const dataDir = folders.workspace.subfolder('objects');
    fillWithObjects(dataDir);
    const out = folders.freshPath('out');
    const { lines } = exported(dataDir, { out });
    expect(lines).toEqual([
      '1 start timestamps were left out: remote write 1.0 has none',
      '4 samples of 1 tenants exported',
    ]);
    const labels = ['__name__', 'latency'];
    const exemplars = [{ labels: ['trace_id', 'x'], timestamp: String(T0 + 2) }];
    const histogram = (timestamp: number, count: number) => {
      return expect.objectContaining({ timestamp: String(timestamp), countInt: String(count) });
    };
    const none = { samples: [], histograms: [], exemplars: [] };
    const body = readFileSync(join(out, '@default', '00000001.snappy'));
    expect(decodeWhole1(body)).toEqual([
      { ...none, labels, histograms: [histogram(T0, 8)] },
      { ...none, labels, samples: [{ timestamp: String(T0 + 1), value: '1' }] },
      // Prometheus would drop the exemplar without a word where the histogram begins the series.
      { ...none, labels, histograms: [histogram(T0 + 2, 9)] },
      { ...none, labels, exemplars },
    ]);
  });

  test('as OpenMetrics leaves native histograms and exemplars out, and says so', () => {
    const dataDir = folders.workspace.subfolder('objects-as-text');
    fillWithObjects(dataDir);
    const out = folders.freshPath('out');
    const { lines } = exported(dataDir, { format: 'openmetrics', out });
    expect(lines).toEqual([
      '2 native histograms were left out: --format=remote-write has them',
      '1 exemplars were left out: --format=remote-write has them',
      '1 samples of 1 tenants exported',
    ]);
    const text = readFileSync(join(out, '@default.txt'), 'utf8');
    expect(text).toBe('latency 5e-324 1800000000.001\n# EOF\n');
  });

  test('to standard output is one tenant', async () => {
    const { dataDir } = folders.filled.closed;
    const all = await starferryBuffer('export', dataDir, '--format=openmetrics', '--out=-');
    expect(all).toMatchObject({ code: 1, stdout: '' });
    expect(all.stderr).toBe('--out=-: choose one tenant with --tenant: a, b, @default\n');
    const one = await starferryBuffer(
      'export',
      dataDir,
      '--format=openmetrics',
      '--out=-',
      '--tenant=a',
    );
    expect([one.code, one.stderr]).toEqual([0, expect.stringContaining('exported')]);
    expect(one.stdout).toMatch(/^series_0_\d+ \S+ 18000000\d\d\.\d{3}\n/);
    expect(one.stdout).toMatch(/\n# EOF\n$/);
  });

  test('overwrites nothing', async () => {
    const out = folders.workspace.subfolder('occupied');
    const ended = await starferryBuffer('export', folders.filled.closed.dataDir, `--out=${out}`);
    expect([ended.code, ended.stderr]).toEqual([1, `${out} exists: name a folder that does not\n`]);
  });
});

describe('a wrong call', () => {
  test.each([
    [{ format: 'csv', out: 'x' }, /^--format=csv: expected/],
    [{}, /^--out=PATH is required$/],
    [{ out: '-' }, /^--out=-: bodies of remote write go into a folder/],
    [{ out: 'x', from: 'yesterday' }, /^--from=yesterday: expected RFC 3339/],
    [{ out: 'x', to: '2026-13-01T00:00:00Z' }, /^--to=/],
  ])('%j is explained', (flags, message) => {
    const given = { format: undefined, out: undefined, from: undefined, to: undefined };
    expect(parseExportFlags({ ...given, tenants: [], ...flags })).toMatch(message);
  });

  test.each([
    ['2027-01-15T08:00:00Z', T0],
    ['2027-01-15T09:30:00.250+01:30', T0 + 250],
    ['1800000000', T0],
    ['1800000000.25', T0 + 250],
  ])('%s is a time', (from, fromMs) => {
    const given = { format: undefined, out: 'x', to: undefined, tenants: ['@default'] };
    expect(parseExportFlags({ ...given, from })).toMatchObject({ fromMs, tenants: [''] });
  });
});

function bitsOf(text: string): bigint {
  return BigInt(text.split(' ').at(-1)!);
}

function bitsOfKnown({ key }: { key: string }): bigint {
  const [high, low] = key.split(' ').reverse().slice(0, 2).map(BigInt);
  return (high! << 32n) | low!;
}

/** A float between two native histograms, one with a start timestamp, and an exemplar. */
function fillWithObjects(dataDir: string): void {
  const { buffer } = openBuffer(dataDir, 'objects');
  const columns = new SampleColumns();
  columns.pushObject('histogram', 0, T0, histogramBytes(3, 1, 8));
  columns.setStart(0, T0 - 1);
  columns.push(0, T0 + 1, 1, 0);
  columns.pushObject('histogram', 0, T0 + 2, histogramBytes(3, 1, 9));
  columns.pushObject('exemplar', 0, T0 + 2, exemplarBytes('x'));
  buffer.append([
    { tenant: '', columns, newEntries: { firstId: 0, entries: seriesEntries('latency') } },
  ]);
  buffer.close();
}

/** One series of numbers that are hard to write, and what no text can hold. */
function fillWithNumbers(dataDir: string): { expected: string[]; staleMarkers: number } {
  const { buffer } = openBuffer(dataDir, 'numbers');
  const entries = [
    ...seriesEntries('numbers'),
    encodeSeriesEntry('', labelBytes({ __name__: 'up', job: 'a "b"\\c\nd', zone: 'ä' })),
    encodeSeriesEntry('', labelBytes({ __name__: 'odd.name' })),
    encodeSeriesEntry('', labelBytes({ __name__: 'up', 'odd.label': 'x' })),
  ];
  const columns = new SampleColumns();
  const expected: string[] = [];
  const add = (id: number, timestamp: number, bits: bigint): void => {
    columns.push(id, timestamp, Number(bits & 0xffffffffn), Number(bits >> 32n));
  };
  const view = new DataView(new ArrayBuffer(8));
  const texts = ['0', '-0', '0.1', '5e-324', '1.7976931348623157e+308', '+Inf', '-Inf', 'NaN'];
  texts.forEach((text, index) => {
    view.setFloat64(0, Number(text.replace('Inf', 'Infinity')));
    // Every thousandth of a second: some are not exact as a product.
    for (let ms = 0; ms < 130; ms++) {
      const timestamp = T0 + index * 1000 + ms;
      add(0, timestamp, view.getBigUint64(0));
      expected.push(`{__name__="numbers"} ${text} ${timestamp}`);
    }
  });
  const stale = 0x7ff0000000000002n;
  for (let count = 0; count < 3; count++) add(0, T0 + 50_000 + count, stale);
  add(0, T0 + 60_000, 0x7ff80000deadbeefn);
  expected.push(`{__name__="numbers"} NaN ${T0 + 60_000}`);
  add(1, T0, 0x3ff0000000000000n);
  expected.push(`{__name__="up", job="a \\"b\\"\\\\c\\nd", zone="ä"} 1 ${T0}`);
  for (const id of [2, 3]) add(id, T0, 0n);
  buffer.append([{ tenant: '', columns, newEntries: { firstId: 0, entries } }]);
  buffer.close();
  return { expected, staleMarkers: 3 };
}
