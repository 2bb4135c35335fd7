import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configDocs } from '../../scripts/config-docs.ts';

const docs = configDocs();

test('docs/configuration.md is what `npm run docs` generates from the schemas', () => {
  const written = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  expect(written).toBe(docs);
});

test('every key has a type, a default or "required", and a meaning', () => {
  const rows = docs.split('\n').filter((line) => /^\| `[^`]+` \|(?:[^|]*\|){4}$/.test(line));
  expect(rows.length).toBeGreaterThan(50);
  const incomplete = rows.filter((row) => {
    const [, , type, fallback, , meaning] = row.split('|').map((cell) => cell.trim());
    return type === '' || fallback === '' || meaning === '';
  });
  expect(incomplete).toEqual([]);
});
