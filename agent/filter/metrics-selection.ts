import { assert } from '../../base/assert.ts';
import { type MetricsEntry, parseEntry } from '../metrics-list.ts';
import type { LabelBuilder } from './label-builder.ts';

type PatternEntry = Exclude<MetricsEntry, { kind: 'name' }>;

/** Entries of a list, found by series: names at once however many there are, the rest in turn. */
export class MetricsSelection {
  readonly #names = new Map<string, number>();
  readonly #patterns: { index: number; entry: PatternEntry }[] = [];

  constructor(entries: readonly string[]) {
    for (const [index, text] of entries.entries()) {
      const entry = parseEntry(text);
      assert(entry.kind !== 'unreadable', 'entries were read with the configuration');
      if (entry.kind !== 'name') this.#patterns.push({ index, entry });
      else if (!this.#names.has(entry.name)) this.#names.set(entry.name, index);
    }
  }

  /** Index of an entry that selects the series, a name before others; undefined: none does. */
  find(labels: LabelBuilder): number | undefined {
    const name = labels.get('__name__');
    return (
      this.#names.get(name) ??
      this.#patterns.find(({ entry }) => selects(entry, name, labels))?.index
    );
  }
}

function selects(entry: PatternEntry, name: string, labels: LabelBuilder): boolean {
  if (entry.kind === 'glob') return entry.pattern.test(name);
  return entry.matchers.every((matcher) => matcher.test(labels.get(matcher.name)));
}
