import { type Document, isAlias, isMap, isScalar, isSeq } from 'yaml';

/** A scalar of a YAML file with its text: `010` is "010" although YAML has it for the number 10. */
export class WrittenScalar {
  /** Without quotes and escapes; of null, in whatever spelling, nothing. */
  readonly text: string;
  readonly value: unknown;
  /** Neither in quotes nor in a block. */
  readonly isPlain: boolean;

  constructor(text: string, value: unknown, isPlain: boolean) {
    this.text = text;
    this.value = value;
    this.isPlain = isPlain;
  }

  /** For error lines. */
  toJSON(): unknown {
    return this.value;
  }
}

const DEPTH_MAX = 20;

/**
 * `value`, which `document` is in JavaScript, with every scalar below the top-level `keys` as a
 * WrittenScalar; such a key whose value is null is absent.
 */
export function asWritten(document: Document, value: unknown, keys: readonly string[]): unknown {
  const { contents } = document;
  if (!isMap(contents)) return value;
  const written = new Map<string, unknown>(Object.entries(value as object));
  for (const key of keys) {
    if ((written.get(key) ?? null) === null) continue;
    written.set(key, writtenOf(document, contents.get(key, true), 0));
  }
  return Object.fromEntries(written);
}

function writtenOf(document: Document, node: unknown, depth: number): unknown {
  if (depth > DEPTH_MAX) throw new Error('lists and sections nest too deeply');
  if (isAlias(node)) return writtenOf(document, node.resolve(document), depth + 1);
  if (isSeq(node)) return node.items.map((item) => writtenOf(document, item, depth + 1));
  if (isMap(node)) {
    const entries = node.items.map(({ key, value }) => {
      const name = isScalar(key) ? textOf(key.value, key.source) : String(key);
      return [name, writtenOf(document, value, depth + 1)] as const;
    });
    return Object.fromEntries(entries);
  }
  // A key without a value has no node.
  if (!isScalar(node)) return new WrittenScalar('', null, true);
  const text = textOf(node.value, node.source);
  return new WrittenScalar(text, node.value, node.type === 'PLAIN');
}

function textOf(value: unknown, source: string | undefined): string {
  if (value === null) return '';
  return typeof value === 'string' ? value : (source ?? String(value));
}
