import { resolve } from 'node:path';
import { Pattern } from '../base/pattern.ts';
import { readSmallFile } from '../base/settings.ts';
import { type Matcher, parseSelector } from '../proto/selector.ts';

/** A file of entries, one a line, as it was when it was read. */
export interface MetricsFile {
  /** Absolute. */
  path: string;
  entries: string[];
}

/** What one entry of a list selects. */
export type MetricsEntry =
  | { kind: 'name'; name: string }
  | { kind: 'glob'; pattern: Pattern }
  | { kind: 'selector'; matchers: Matcher[] };

export type ParsedEntry = MetricsEntry | { kind: 'unreadable'; message: string };

export const ENTRY_FORM = 'a metric name, a name with * or ?, or a selector such as up{job="a"}';
/** What a name holds only by mistake, such as a function of PromQL; selectors can quote it. */
const NO_NAME = /[\s"'`{}()[\],=]|^$/;

export function parseEntry(text: string): ParsedEntry {
  if (text.includes('{')) {
    const selector = parseSelector(text);
    if (selector.kind === 'unreadable' || selector.matchers.length > 0) return selector;
    return { kind: 'unreadable', message: 'it selects everything' };
  }
  if (NO_NAME.test(text)) return { kind: 'unreadable', message: '' };
  return parseGlob(text);
}

/** A name in which `*` stands for any characters and `?` for one. */
export function parseGlob(
  text: string,
): Exclude<MetricsEntry, { kind: 'selector' }> | { kind: 'unreadable'; message: string } {
  if (!/[*?]/.test(text)) return { kind: 'name', name: text };
  const source = text.replace(/[^\w\s]/g, (character) =>
    character === '*' ? '.*' : character === '?' ? '.' : quoted(character),
  );
  const parsed = Pattern.parse(source);
  return parsed.kind === 'pattern' ? { kind: 'glob', pattern: parsed.pattern } : parsed;
}

/** RE2 takes a backslash before ASCII only, and nothing else needs one. */
function quoted(character: string): string {
  return character < '\x80' ? `\\${character}` : character;
}

/** Relative paths start in `folder`; at most 1 MiB. */
export function readMetricsFile(folder: string, path: string): MetricsFile | { problem: string } {
  const contents = readSmallFile(folder, path);
  if (typeof contents !== 'string') return contents;
  const entries = new Set<string>();
  for (const [index, line] of contents.split('\n').entries()) {
    const entry = line.trim();
    if (entry === '' || entry.startsWith('#')) continue;
    const parsed = parseEntry(entry);
    if (parsed.kind === 'unreadable') {
      const reason = parsed.message === '' ? `expected ${ENTRY_FORM}` : parsed.message;
      return { problem: `line ${index + 1}: ${JSON.stringify(entry.slice(0, 80))}: ${reason}` };
    }
    entries.add(entry);
  }
  // An empty list of what to keep would drop everything: more likely it is being written.
  if (entries.size === 0) return { problem: 'it has no entry' };
  return { path: resolve(folder, path), entries: [...entries] };
}
