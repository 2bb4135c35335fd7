import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { watchFilterFiles } from '../../../agent/filter/filter-files.ts';
import type { FilterConfig } from '../../../agent/filter-config.ts';
import { type MetricsFile, readMetricsFile } from '../../../agent/metrics-list.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'starferry-lists-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function read(name: string): MetricsFile {
  const file = readMetricsFile(folder, name);
  if ('problem' in file) throw new Error(file.problem);
  return file;
}

/**
 * Runs the watch over the steps, one before each look after the first; returns what it told: the
 * entries of both files, or an error.
 */
async function watch(files: Partial<FilterConfig>, steps: (() => void)[]): Promise<unknown[]> {
  const config: FilterConfig = {
    externalLabels: [],
    relabelRules: [],
    keepMetrics: [],
    dropMetrics: [],
    dropLabels: [],
    ...files,
  };
  const told: unknown[] = [];
  const stop = new AbortController();
  const remaining = [...steps];
  await watchFilterFiles(config, {
    clock: {
      now: () => 0,
      elapsedMs: () => 0,
      sleep: async (ms) => {
        expect(ms).toBe(5000);
        const step = remaining.shift();
        if (step === undefined) stop.abort();
        else step();
      },
    },
    signal: stop.signal,
    intervalMs: 5000,
    onChange: ({ keepMetricsFile, dropMetricsFile }) => {
      told.push([keepMetricsFile?.entries, dropMetricsFile?.entries]);
    },
    onError: (message) => told.push(message.replaceAll(folder, 'FOLDER')),
  });
  return told;
}

test('entries are read again when a file has changed, and only then', async () => {
  const [keep, drop] = [join(folder, 'keep'), join(folder, 'drop')];
  writeFileSync(keep, 'up\n');
  writeFileSync(drop, 'go_*\n');
  const files = { keepMetricsFile: read('keep'), dropMetricsFile: read('drop') };
  const told = await watch(files, [
    () => undefined,
    () => writeFileSync(keep, 'up\nnode_*\n'),
    () => undefined,
    () => writeFileSync(drop, '# other words, the same entries\ngo_*\n'),
    () => {
      writeFileSync(join(folder, 'next'), 'x\n');
      renameSync(join(folder, 'next'), drop);
    },
  ]);
  expect(told).toEqual([
    [['up', 'node_*'], ['go_*']],
    [['up', 'node_*'], ['x']],
  ]);
});

test('what changed between the configuration and the watch is seen', async () => {
  writeFileSync(join(folder, 'keep'), 'up\n');
  const keepMetricsFile = read('keep');
  writeFileSync(join(folder, 'keep'), 'down\n');
  expect(await watch({ keepMetricsFile }, [])).toEqual([[['down'], undefined]]);
});

test('a file that cannot be used leaves the old entries and is told of once', async () => {
  const path = join(folder, 'drop');
  writeFileSync(path, 'go_*\n');
  const told = await watch({ dropMetricsFile: read('drop') }, [
    () => writeFileSync(path, 'go_*\nrate(x[5m])\n'),
    () => undefined,
    () => rmSync(path),
    () => undefined,
    () => writeFileSync(path, ''),
    () => writeFileSync(path, 'a'.repeat(2 ** 20 + 1)),
    () => writeFileSync(path, 'go_*\n'),
    () => writeFileSync(path, 'x\n'),
  ]);
  expect(told).toEqual([
    expect.stringMatching(/^drop_metrics_file: FOLDER\/drop: line 2: "rate\(x\[5m\]\)": expected /),
    expect.stringContaining('ENOENT'),
    'drop_metrics_file: FOLDER/drop: it has no entry',
    'drop_metrics_file: FOLDER/drop: it is larger than 1MiB',
    [undefined, ['x']],
  ]);
});

test('a link that leads elsewhere is a change, as in the volumes of Kubernetes', async () => {
  for (const name of ['one', 'two']) writeFileSync(join(folder, name), `${name}\n`);
  symlinkSync('one', join(folder, 'keep'));
  const told = await watch({ keepMetricsFile: read('keep') }, [
    () => {
      symlinkSync('two', join(folder, 'new'));
      renameSync(join(folder, 'new'), join(folder, 'keep'));
    },
  ]);
  expect(told).toEqual([[['two'], undefined]]);
});
