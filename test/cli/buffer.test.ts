import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import { OfflineBuffer } from '../../agent/buffer/salvage/offline-buffer.ts';
import { lockDataDir } from '../../base/sqlite/data-dir-lock.ts';
import { exportBuffer } from '../../cli/buffer-export.ts';
import { inspect } from '../../cli/buffer-inspect.ts';
import { verify } from '../../cli/buffer-verify.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { openBuffer, seriesEntries, T0 } from '../agent/buffer-fixture.ts';
import { RowMap } from '../agent/salvage-check.ts';
import { Filler } from '../agent/salvage-fixture.ts';
import { exemplarBytes, histogramBytes } from '../proto/objects/columns-fixture.ts';
import { DAMAGES_OF_DATABASE, DAMAGES_OF_LOG } from '../tools/buffer-damages.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { BufferFolders, reading, starferryBuffer } from './buffer-fixture.ts';

let folders: BufferFolders;

beforeAll(() => {
  folders = new BufferFolders('buffer-command');
});
afterAll(() => folders.workspace.close());

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

describe('inspect', () => {
  test('shows tenants, epochs and the time range', async () => {
    const { code, stdout } = await starferryBuffer('inspect', folders.filled.closed.dataDir);
    expect(code).toBe(0);
    const ofA = folders.filled.closed.waiting.filter(({ tenant }) => tenant === 'a');
    const [oldest, newest] = [ofA[0]!, ofA.at(-1)!].map(({ timestamp }) =>
      new Date(timestamp).toISOString(),
    );
    expect(stdout).toMatch(
      new RegExp(`^a +32 +0 +${ofA.length} +\\d+ +${oldest} +${newest} +0$`, 'm'),
    );
    expect(stdout).toMatch(/^@default +16 /m);
    expect(stdout).toMatch(/^[0-9a-f]{16} +1 +192 +0$/m);
    expect(stdout).toMatch(/^in use by +nobody$/m);
  });
});

describe('a buffer with native histograms and exemplars', () => {
  test('is inspected and verified as any other', () => {
    const dataDir = folders.workspace.subfolder('objects');
    const { buffer } = openBuffer(dataDir, 'objects');
    const columns = new SampleColumns();
    columns.pushObject('histogram', 0, T0, histogramBytes(3, 1, 8));
    columns.setStart(0, T0 - 1);
    columns.pushObject('exemplar', 0, T0 + 1, exemplarBytes('x'));
    buffer.append([
      { tenant: '', columns, newEntries: { firstId: 0, entries: seriesEntries('latency') } },
    ]);
    buffer.close();
    expect(reading(dataDir, verify)).toEqual({
      problems: [],
      summary: `${dataDir}: OK (1 segments, 0 packs, 2 samples)`,
    });
    const row = reading(dataDir, inspect).match(/^@default .*$/m)?.[0];
    expect(row).toMatch(/^@default +1 +0 +2 +\d+ +2027-01-15T08:00:00.000Z +\S+ +0$/);
  });
});

describe('verify', () => {
  test('finds nothing wrong with a healthy buffer, killed or closed', async () => {
    for (const { dataDir, waiting } of [folders.filled.closed, folders.filled.killed]) {
      const { problems, summary } = reading(dataDir, verify);
      expect(problems).toEqual([]);
      expect(summary).toContain(`${waiting.length} samples`);
    }
    expect(await starferryBuffer('verify', folders.filled.killed.dataDir)).toMatchObject({
      code: 0,
      stderr: '',
    });
  });

  test.each([
    ...DAMAGES_OF_DATABASE.map((damage) => ['closed', damage.name, damage] as const),
    ...DAMAGES_OF_LOG.map((damage) => ['killed', damage.name, damage] as const),
  ])('of a %s buffer names the damage: %s', (state, name, { apply }) => {
    const dataDir = folders.copyOf(folders.filled[state].dataDir);
    apply(dataDir, seededRandom(name));
    const buffer = OfflineBuffer.open(dataDir);
    const problems = buffer === undefined ? ['no buffer'] : verify(buffer).problems;
    buffer?.close();
    expect(problems).not.toEqual([]);
  });

  test('prints one line for every problem and exits with 1', async () => {
    const dataDir = folders.copyOf(folders.filled.closed.dataDir);
    const hit = DAMAGES_OF_DATABASE.find(
      ({ name }) => name === 'a bit in a body on an overflow page',
    )!;
    const rows = new RowMap(dataDir).rowsAt(hit.apply(dataDir, seededRandom('verify')));
    const [, , runId, sequence] = [...rows][0]!.split(' ');
    const { code, stdout, stderr } = await starferryBuffer('verify', dataDir);
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
    const dataDir = folders.copyOf(folders.filled[state].dataDir);
    const damage = [...DAMAGES_OF_DATABASE, ...DAMAGES_OF_LOG].find((one) => one.name === name);
    damage?.apply(dataDir, seededRandom(name));
    const before = filesIn(dataDir);
    for (const work of [inspect, verify]) reading<unknown>(dataDir, work);
    const out = folders.freshPath('out');
    reading(dataDir, (buffer) =>
      exportBuffer(buffer, {
        format: 'remote-write',
        out,
        tenants: [],
        fromMs: Number.NEGATIVE_INFINITY,
        toMs: Number.POSITIVE_INFINITY,
      }),
    );
    expect(filesIn(dataDir)).toEqual(before);
  });

  test('of one that an agent has open, which goes on meanwhile', () => {
    const dataDir = folders.copyOf(folders.filled.killed.dataDir);
    lockDataDir(dataDir, 'agent');
    const { buffer } = openBuffer(dataDir, 'live');
    const filler = new Filler('live');
    filler.restart(buffer);
    const before = folders.filled.killed.waiting.length;
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

test('a folder without a buffer is named', async () => {
  const ended = await starferryBuffer('verify', folders.workspace.subfolder('empty'));
  expect([ended.code, ended.stderr]).toEqual([1, expect.stringMatching(/: no buffer\.db here\n$/)]);
});

/** Everything that waits of a tenant, as ranges. */
function rangesOf(buffer: SampleBuffer, tenant: string) {
  const ranges = buffer.read(tenant, 1e9).map(({ run: runHex, sequence }) => {
    return { run: BigInt(`0x${runHex}`), first: sequence, last: sequence };
  });
  buffer.pin(tenant, undefined);
  return ranges;
}
