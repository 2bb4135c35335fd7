import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { asWritten, WrittenScalar } from './written-scalar.ts';

export type LoadedConfig<T> = { kind: 'config'; value: T } | { kind: 'errors'; lines: string[] };

/** A value from the command line or the environment that replaces the file's. */
export interface Override {
  path: readonly string[];
  value: unknown;
}

const FILE_BYTES_MAX = 1024 * 1024;

/**
 * Reads a YAML 1.2 file (duplicate keys are errors, an empty section counts as absent), puts
 * `overrides` on top and checks it by the schema, which gets the folder of the file because paths
 * in it are relative to that. Every problem is one line: path, value, what is expected. The values
 * of the top-level keys in `keysAsWritten` keep the text of their scalars, and what is null in them.
 */
export function loadConfigFile<T>(
  path: string,
  schemaFor: (folder: string) => z.ZodType<T>,
  overrides: readonly Override[] = [],
  keysAsWritten: readonly string[] = [],
): LoadedConfig<T> {
  const read = readYaml(path, keysAsWritten);
  if (read.kind === 'errors') return read;
  const document = overrides.reduce<unknown>(
    (value, override) => withValueAt(value, override.path, override.value),
    withoutEmpty(read.value) ?? {},
  );
  return checkConfig(document, schemaFor(dirname(path)));
}

/** Checks a document that is in memory already, with the same error lines. */
export function checkConfig<T>(document: unknown, schema: z.ZodType<T>): LoadedConfig<T> {
  const result = schema.safeParse(document);
  if (result.success) return { kind: 'config', value: result.data };
  const lines = result.error.issues.flatMap((issue) => issueLines(issue, document));
  return { kind: 'errors', lines };
}

/** The parsed file before any schema; aliases may not blow it up. */
export function readYaml(
  path: string,
  keysAsWritten: readonly string[] = [],
): LoadedConfig<unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { kind: 'errors', lines: [`${path}: ${messageOf(error)}`] };
  }
  if (text.length > FILE_BYTES_MAX) {
    return { kind: 'errors', lines: [`${path}: a configuration file is at most 1MiB`] };
  }
  const document = parseDocument(text, { version: '1.2' });
  if (document.errors.length > 0) {
    const lines = document.errors.map((error) => `${path}: ${error.message.split('\n', 1)[0]}`);
    return { kind: 'errors', lines };
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    return { kind: 'config', value: asWritten(document, value, keysAsWritten) };
  } catch (error) {
    return { kind: 'errors', lines: [`${path}: ${messageOf(error)}`] };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function isSection(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  return !Array.isArray(value) && !(value instanceof WrittenScalar);
}

/** A section whose keys are all commented out is null in YAML. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (!isSection(value)) return value ?? undefined;
  const kept = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutEmpty(inner)]));
}

function withValueAt(document: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  // What is not a section stays, for the schema to complain about.
  if (document !== undefined && !isSection(document)) return document;
  return { ...document, [key]: withValueAt(document?.[key], rest, value) };
}

function issueLines(issue: z.core.$ZodIssue, raw: unknown): string[] {
  if (issue.code === 'unrecognized_keys') {
    const known = issue.message.split('\n');
    return issue.keys.map((key) => {
      const near = nearest(key, known);
      const hint = near === undefined ? `known here are ${known.join(', ')}` : `perhaps ${near}?`;
      return `${pathText([...issue.path, key])}: unknown key: ${hint}`;
    });
  }
  return [`${pathText(issue.path)}: ${shown(valueAt(raw, issue.path))}: expected ${issue.message}`];
}

function pathText(path: readonly PropertyKey[]): string {
  const steps = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`));
  return steps.length === 0 ? 'the file' : steps.join('').replace(/^\./, '');
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = raw;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}

const SHOWN_LENGTH_MAX = 80;

/** The value as an error line may show it: short, and without a password in a URL. */
function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  const json = JSON.stringify(value).replace(/:\/\/[^/@"]*@/g, '://…@');
  return json.length > SHOWN_LENGTH_MAX ? `${json.slice(0, SHOWN_LENGTH_MAX)}…` : json;
}

/** The known key that `key` is most likely a misspelling of. */
function nearest(key: string, known: readonly string[]): string | undefined {
  const typosMax = Math.max(1, Math.floor(key.length / 3));
  const ranked = known.map((name) => ({ name, typos: editDistance(key, name) }));
  ranked.sort((a, b) => a.typos - b.typos);
  const [best] = ranked;
  return best !== undefined && best.typos <= typosMax ? best.name : undefined;
}

/** Insertions, deletions and replacements that turn `from` into `to`. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let line = 1; line <= from.length; line++) {
    const next = [line];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (from[line - 1] === to[column - 1] ? 0 : 1);
      const shifted = Math.min(row[column] ?? 0, next[column - 1] ?? 0) + 1;
      next.push(Math.min(replaced, shifted));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
