import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import { lockDataDir } from '../../agent/buffer/data-dir-lock.ts';
import { OfflineBuffer } from '../../agent/buffer/salvage/offline-buffer.ts';
import { type Exported, exportBuffer } from '../../cli/buffer-export.ts';
import { type ExportOptions, parseExportFlags } from '../../cli/buffer-export-flags.ts';
import { inspect } from '../../cli/buffer-inspect.ts';
import { verify } from '../../cli/buffer-verify.ts';
import { encodeSeriesEntry } from '../../proto/dictionary-entry.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { openBuffer, seriesEntries, T0 } from '../agent/buffer-fixture.ts';
import { lossAllowed, RowMap } from '../agent/salvage-check.ts';
import { type FilledBuffer, Filler, fillBuffer } from '../agent/salvage-fixture.ts';
import { labelBytes } from '../hub/series-fixture.ts';
import { DAMAGES_OF_DATABASE, DAMAGES_OF_LOG } from '../tools/buffer-damages.ts';
import { debianProgram } from '../tools/debian.ts';
import { decodeExactly, labelNotation } from '../tools/exact-remote-write.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';

const run = promisify(execFile);
const entry = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

let workspace: Workspace;
let filled: FilledBuffer;
let copies = 0;

beforeAll(() => {
  workspace = new Workspace('buffer-command');
  filled = fillBuffer(workspace.folder);
});
afterAll(() => workspace.close());

function freshPath(name: string): string {
  return join(workspace.folder, `${name}-${copies++}`);
}

function copyOf(folder: string): string {
  const copy = freshPath('copy');
  cpSync(folder, copy, { recursive: true });
  return copy;
}

/** Runs the command as a process: what it prints, and its exit code. */
async function starferry(...args: string[]) {
  try {
    const { stdout, stderr } = await run(process.execPath, [entry, 'buffer', ...args], {
      maxBuffer: 2 ** 25,
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

/** Path, size, time and content of every file. */
function filesIn(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(
    files.map((name) => {
      const path = join(folder, name);
      const stats = statSync(path, { bigint: true });
      const content = stats.isFile() ? readFileSync(path, 'base64') : '';
      return [relative(folder, path), `${stats.ino} ${stats.mtimeNs} ${content}`];
    }),
  );
}

function reading<T>(folder: string, work: (buffer: OfflineBuffer) => T): T {
  const buffer = OfflineBuffer.open(folder)!;
  try {
    return work(buffer);
  } finally {
    buffer.close();
  }
}

function exported(folder: string, options: Partial<ExportOptions>): Exported {
  const all = { tenants: [], fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
  const out = freshPath('out');
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

describe('inspect', () => {
  test('shows tenants, epochs and the time range', async () => {
    const { code, stdout } = await starferry('inspect', filled.closed.dataDir);
    expect(code).toBe(0);
    const ofA = filled.closed.waiting.filter(({ tenant }) => tenant === 'a');
    const [oldest, newest] = [ofA[0]!, ofA.at(-1)!].map(({ timestamp }) =>
      new Date(timestamp).toISOString(),
    );
    expect(stdout).toMatch(
      new RegExp(`^a +32 +${ofA.length} +\\d+ +${oldest} +${newest} +0$`, 'm'),
    );
    expect(stdout).toMatch(/^@default +16 /m);
    expect(stdout).toMatch(/^[0-9a-f]{16} +1 +192 +0$/m);
    expect(stdout).toMatch(/^in use by +nobody$/m);
  });
});

describe('verify', () => {
  test('finds nothing wrong with a healthy buffer, killed or closed', async () => {
    for (const { dataDir, waiting } of [filled.closed, filled.killed]) {
      const { problems, summary } = reading(dataDir, verify);
      expect(problems).toEqual([]);
      expect(summary).toContain(`${waiting.length} samples`);
    }
    expect(await starferry('verify', filled.killed.dataDir)).toMatchObject({ code: 0, stderr: '' });
  });

  test.each([
    ...DAMAGES_OF_DATABASE.map((damage) => ['closed', damage.name, damage] as const),
    ...DAMAGES_OF_LOG.map((damage) => ['killed', damage.name, damage] as const),
  ])('of a %s buffer names the damage: %s', (state, name, { apply }) => {
    const dataDir = copyOf(filled[state].dataDir);
    apply(dataDir, seededRandom(name));
    const buffer = OfflineBuffer.open(dataDir);
    const problems = buffer === undefined ? ['no buffer'] : verify(buffer).problems;
    buffer?.close();
    expect(problems).not.toEqual([]);
  });

  test('prints one line for every problem and exits with 1', async () => {
    const dataDir = copyOf(filled.closed.dataDir);
    const hit = DAMAGES_OF_DATABASE.find(
      ({ name }) => name === 'a bit in a body on an overflow page',
    )!;
    const rows = new RowMap(dataDir).rowsAt(hit.apply(dataDir, seededRandom('verify')));
    const [, , runId, sequence] = [...rows][0]!.split(' ');
    const { code, stdout, stderr } = await starferry('verify', dataDir);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`^segment ${sequence} of run ${runId}, tenant .*: damaged, `),
    );
    expect(stdout).toContain('1 problems');
  });
});

describe('no command changes a byte', () => {
  test.each([
    ['closed', 'a bit in the keyword of the schema'],
    ['killed', 'a bit in the page of a frame in the middle'],
    ['killed', ''],
  ] as const)('of a %s buffer: %s', (state, name) => {
    const dataDir = copyOf(filled[state].dataDir);
    const damage = [...DAMAGES_OF_DATABASE, ...DAMAGES_OF_LOG].find((one) => one.name === name);
    damage?.apply(dataDir, seededRandom(name));
    const before = filesIn(dataDir);
    for (const work of [inspect, verify]) reading<unknown>(dataDir, work);
    exported(dataDir, {});
    expect(filesIn(dataDir)).toEqual(before);
  });

  test('of one that an agent has open, which goes on meanwhile', () => {
    const dataDir = copyOf(filled.killed.dataDir);
    lockDataDir(dataDir);
    const { buffer } = openBuffer(dataDir, 'live');
    const filler = new Filler('live');
    filler.restart(buffer);
    const before = filled.killed.waiting.length;
    reading(dataDir, (offline) => {
      expect(inspect(offline)).toContain('in use by        an agent');
      // More than the log holds before it is written over.
      for (let round = 0; round < 100; round++) filler.append(buffer, 'a', 1900);
      buffer.acknowledge('a', [{ run: buffer.run, first: 1, last: 100 }]);
      buffer.acknowledge('b', [...rangesOf(buffer, 'b')]);
      const { problems, summary } = verify(offline);
      expect(problems).toEqual([]);
      expect(summary).toContain(`${before} samples`);
    });
    expect(() => buffer.housekeep()).not.toThrow();
    buffer.close();
  });
});

describe('export', () => {
  test('as remote write holds every sample of every tenant, bit for bit and in order', () => {
    const out = freshPath('out');
    const { lines } = exported(filled.killed.dataDir, { out });
    expect(lines).toEqual([`${filled.killed.waiting.length} samples of 3 tenants exported`]);
    for (const tenant of ['', 'a', 'b']) {
      const expected = filled.killed.waiting.filter((sample) => sample.tenant === tenant);
      const found = samplesIn(join(out, tenant === '' ? '@default' : tenant));
      expect(found.map((text) => text.split(' ').at(-2))).toEqual(
        expected.map(({ timestamp }) => String(timestamp)),
      );
      expect(found.map(bitsOf)).toEqual(expected.map(bitsOfKnown));
    }
  });

  test('of a damaged buffer holds all but what is damaged, and says so', () => {
    const dataDir = copyOf(filled.closed.dataDir);
    const damage = DAMAGES_OF_DATABASE.find(({ name }) => name.includes('leaf of the segments'))!;
    const hits = damage.apply(dataDir, seededRandom('export'));
    const isLost = lossAllowed(new RowMap(filled.closed.dataDir), hits);
    const out = freshPath('out');
    exported(dataDir, { out });
    const found = ['@default', 'a', 'b'].flatMap((tenant) => samplesIn(join(out, tenant)));
    expect(found.length).toBe(filled.closed.waiting.filter((sample) => !isLost(sample)).length);
  });

  test('is limited to tenants and to a time range', () => {
    const { waiting, dataDir } = filled.closed;
    const [from, to] = [waiting[5000]!.timestamp, waiting[9000]!.timestamp];
    const out = freshPath('out');
    exported(dataDir, { out, tenants: ['b'], fromMs: from, toMs: to });
    expect(readdirSync(out)).toEqual(['b']);
    const expected = waiting.filter(
      ({ tenant, timestamp }) => tenant === 'b' && timestamp >= from && timestamp <= to,
    );
    expect(samplesIn(join(out, 'b')).length).toBe(expected.length);
  });

  test('as OpenMetrics is taken by promtool, and every number arrives', async () => {
    const dataDir = workspace.subfolder('numbers');
    const { expected, staleMarkers } = fillWithNumbers(dataDir);
    const out = freshPath('out');
    const { lines } = exported(dataDir, { format: 'openmetrics', out });
    expect(lines).toEqual([
      `${staleMarkers} stale markers were left out: the text format has none`,
      '1 values are a plain NaN in the text: it has no others',
      '2 samples were left out: the text format cannot hold their labels',
      expect.stringContaining('1 tenants exported'),
    ]);
    const promtool = join(dirname(await debianProgram('prometheus')), 'promtool');
    const blocks = freshPath('blocks');
    const text = join(out, '@default.txt');
    // `dump` looks for a log beside the blocks.
    mkdirSync(join(blocks, 'wal'), { recursive: true });
    await run(promtool, ['tsdb', 'create-blocks-from', 'openmetrics', text, blocks]);
    const { stdout } = await run(promtool, ['tsdb', 'dump', blocks]);
    expect(stdout.trimEnd().split('\n').sort()).toEqual(expected.sort());
  });

  test('to standard output is one tenant', async () => {
    const { dataDir } = filled.closed;
    const all = await starferry('export', dataDir, '--format=openmetrics', '--out=-');
    expect(all).toMatchObject({ code: 1, stdout: '' });
    expect(all.stderr).toBe('--out=-: choose one tenant with --tenant: a, b, @default\n');
    const one = await starferry('export', dataDir, '--format=openmetrics', '--out=-', '--tenant=a');
    expect(one.code).toBe(0);
    expect(one.stdout).toMatch(/^series_0_\d+ \S+ 18000000\d\d\.\d{3}\n/);
    expect(one.stdout).toMatch(/\n# EOF\n$/);
  });

  test('overwrites nothing', async () => {
    const out = workspace.subfolder('occupied');
    const ended = await starferry('export', filled.closed.dataDir, `--out=${out}`);
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

  test('a folder without a buffer is named', async () => {
    const ended = await starferry('verify', workspace.subfolder('empty'));
    expect([ended.code, ended.stderr]).toEqual([
      1,
      expect.stringMatching(/: no buffer\.db here\n$/),
    ]);
  });
});

/** Everything that waits of a tenant, as ranges. */
function rangesOf(buffer: SampleBuffer, tenant: string) {
  const ranges = buffer.read(tenant, 1e9).map(({ run: runHex, sequence }) => {
    return { run: BigInt(`0x${runHex}`), first: sequence, last: sequence };
  });
  buffer.unpin(tenant);
  return ranges;
}

function bitsOf(text: string): bigint {
  return BigInt(text.split(' ').at(-1)!);
}

function bitsOfKnown({ key }: { key: string }): bigint {
  const [high, low] = key.split(' ').reverse().slice(0, 2).map(BigInt);
  return (high! << 32n) | low!;
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
