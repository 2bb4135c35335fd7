import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadFilterConfig } from '../../agent/config.ts';
import { createFilter } from '../../agent/filter/filter.ts';
import { labelsJson, readLabelsLine } from '../../cli/label-lines.ts';

const docs = readFileSync(new URL('../../docs/filters.md', import.meta.url), 'utf8');

function block(kind: string, number: number): string {
  const blocks = [...docs.matchAll(/```(\w+)\n(.*?)```/gs)].filter(([, found]) => found === kind);
  return blocks[number]?.[2] ?? '';
}

test('docs/filters.md shows what its configuration does', () => {
  const folder = mkdtempSync(join(tmpdir(), 'starferry-filters-'));
  const path = join(folder, 'agent.yaml');
  writeFileSync(path, block('yaml', 0));
  const loaded = loadFilterConfig(path, { hostName: 'host', inKubernetes: false });
  rmSync(folder, { recursive: true });
  if (loaded.kind === 'errors') throw new Error(loaded.lines.join('\n'));
  const filter = createFilter(loaded.value);
  const lines = block('jsonl', 0)
    .trimEnd()
    .split('\n')
    .map((line) => {
      const labels = readLabelsLine(Buffer.from(line));
      if (typeof labels === 'string') throw new Error(labels);
      const verdict = filter.apply(labels);
      return verdict.kind === 'kept'
        ? `{"labels":${labelsJson(verdict.labels)}}`
        : '{"dropped":true}';
    });
  expect(`${lines.join('\n')}\n`).toBe(block('jsonl', 1));
});
