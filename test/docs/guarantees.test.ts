import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);
const text = readFileSync(new URL('docs/guarantees.md', root), 'utf8');

/** Lines such as "- `test/a.test.ts`: title". */
function proofs(markdown: string): { file: string; title: string }[] {
  return Array.from(markdown.matchAll(/^- `(test\/[^`]+)`: (.+)$/gm), ([, file, title]) => ({
    file: file!,
    title: title!,
  }));
}

/** Whether a test file has a test or group of that title, in any quotes. */
function hasTitle(file: string, title: string): boolean {
  const path = new URL(file, root);
  if (!existsSync(path)) return false;
  const source = readFileSync(path, 'utf8');
  return [`'${title}'`, `"${title}"`, `\`${title}\``].some((quoted) => source.includes(quoted));
}

describe('docs/guarantees.md', () => {
  test('names at least one test for each promise', () => {
    const promises = text.split(/^\*\*\d+\. /m).slice(1);
    expect(promises.length).toBeGreaterThanOrEqual(9);
    for (const promise of promises) expect(proofs(promise), promise).not.toEqual([]);
  });

  test('names only tests that exist', () => {
    const missing = proofs(text).filter(({ file, title }) => !hasTitle(file, title));
    expect(missing).toEqual([]);
  });

  test('would notice a test that is gone', () => {
    expect(hasTitle('test/docs/guarantees.test.ts', ['no', 'such', 'title'].join(' '))).toBe(false);
    expect(hasTitle('test/no-such-file.test.ts', 'anything')).toBe(false);
  });
});
