import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { LISTEN_ADDRESS_FORM, parseListenAddress } from './listen-address.ts';
import {
  DURATION_FORM,
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
  SIZE_FORM,
} from './units.ts';
import { WrittenScalar } from './written-scalar.ts';

/**
 * The kinds of values a configuration file holds. Each schema carries `type` and `limits` as
 * metadata for the generated documentation, and its error message says what is expected.
 */
export interface SettingMeta {
  type: string;
  limits?: string | undefined;
}

/** A value read from its text; plain numbers are text too, because YAML reads `0` as a number. */
export function setting<T>(
  meta: SettingMeta,
  expected: string,
  parse: (text: string) => T | undefined,
) {
  return z
    .unknown()
    .transform((raw, context): T => {
      const text = typeof raw === 'number' ? String(raw) : raw;
      const value = typeof text === 'string' ? parse(text) : undefined;
      if (value !== undefined) return value;
      context.addIssue({ code: 'custom', message: expected });
      return z.NEVER;
    })
    .meta({ ...meta });
}

interface Range {
  min?: number;
  max?: number;
}

/** "1 to 64", "at least 16MiB" or, without limits, undefined. */
function describeRange({ min, max }: Range, format: (value: number) => string): string | undefined {
  if (min !== undefined && max !== undefined) return `${format(min)} to ${format(max)}`;
  if (min !== undefined) return `at least ${format(min)}`;
  return max === undefined ? undefined : `at most ${format(max)}`;
}

function ranged(
  type: string,
  form: string,
  range: Range,
  parse: (text: string) => number | undefined,
  format: (value: number) => string,
) {
  const limits = describeRange(range, format);
  const expected = limits === undefined ? form : `${form}, ${limits}`;
  return setting({ type, limits }, expected, (text) => {
    const value = parse(text);
    if (value === undefined) return undefined;
    return value >= (range.min ?? 0) && value <= (range.max ?? Infinity) ? value : undefined;
  });
}

/** Milliseconds; limits in milliseconds. */
export const duration = (range: Range = {}) =>
  ranged('duration', DURATION_FORM, range, parseDuration, formatDuration);

/** Bytes; limits in bytes. */
export const size = (range: Range = {}) => ranged('size', SIZE_FORM, range, parseSize, formatSize);

/** A whole number. */
export const count = (range: Range) =>
  ranged('number', 'a whole number', range, parseCount, String);

function parseCount(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Text that `pattern` matches; a number in YAML is not text, since 007 would become 7. */
export function text(form: string, pattern: RegExp) {
  const error = `${form} (in quotes if it consists of digits)`;
  return z.string({ error }).regex(pattern, { error: form, abort: true }).meta({ type: 'text' });
}

/**
 * Text as it stands in the file, whatever YAML has it for, null being empty; for keys that are read
 * as written (base/config-file.ts). `judge` returns what is wrong with it, if anything is.
 */
export function writtenText(form: string, judge: (text: string) => string | undefined) {
  return z
    .unknown()
    .transform((raw, context): string => {
      const text = raw instanceof WrittenScalar ? raw.text : raw;
      // No bytes lead to a text with half a character, and none could be sent.
      const isText = typeof text === 'string' && text.isWellFormed();
      const problem = isText ? judge(text) : '';
      if (isText && problem === undefined) return text;
      context.addIssue({ code: 'custom', message: problem ? `${form}; ${problem}` : form });
      return z.NEVER;
    })
    .meta({ type: 'text', limits: form });
}

/** For lists and sections among them: a scalar is its value there, and null counts as absent. */
export function unwritten<T extends z.ZodType>(schema: T) {
  return z.preprocess(
    (raw) => (raw instanceof WrittenScalar ? (raw.value ?? undefined) : raw),
    schema,
  );
}

export const listenAddress = () =>
  setting({ type: 'address' }, LISTEN_ADDRESS_FORM, parseListenAddress);

export function choice<const T extends readonly string[]>(values: T) {
  const type = values.join(', ');
  return z.enum(values, { error: `one of ${type}` }).meta({ type: `one of ${type}` });
}

export const flag = () => z.boolean({ error: 'true or false' }).meta({ type: 'true or false' });

/** An http or https URL without credentials: those belong in files. */
export const httpUrl = ({ query }: { query: boolean } = { query: true }) =>
  setting(
    { type: 'URL' },
    `an http:// or https:// URL without user name, password${query ? '' : ', query'} or fragment`,
    (text) => {
      if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return undefined;
      const { username, password, hash, search } = new URL(text);
      const unwanted = username + password + hash + (query ? '' : search);
      return unwanted === '' ? text : undefined;
    },
  );

const FILE_BYTES_MAX = 1024 * 1024;

/** Paths in a configuration file are relative to the folder it lies in, as with Prometheus. */
export function readSmallFile(folder: string, path: string): string | { problem: string } {
  try {
    const bytes = readFileSync(resolve(folder, path));
    if (bytes.byteLength > FILE_BYTES_MAX) return { problem: 'it is larger than 1MiB' };
    return bytes.toString('utf8');
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

/** The contents of a file; `judge` returns what is wrong with them, if anything is. */
function file(
  folder: string,
  meta: SettingMeta,
  judge: (contents: string) => string | undefined,
  tidy: (contents: string) => string,
) {
  return z
    .string({ error: `the path of a ${meta.type}` })
    .transform((path, context): string => {
      const read = readSmallFile(folder, path);
      const contents = typeof read === 'string' ? tidy(read) : '';
      const problem = typeof read === 'string' ? judge(contents) : read.problem;
      if (problem === undefined) return contents;
      context.addIssue({ code: 'custom', message: `the path of a ${meta.type}; ${problem}` });
      return z.NEVER;
    })
    .meta({ ...meta });
}

const withoutLastNewline = (contents: string) => contents.replace(/\r?\n$/, '');

/** A secret, read when the configuration is; what editors leave at the end of a line is dropped. */
export const tokenFile = (folder: string) =>
  file(
    folder,
    { type: 'file with a token', limits: 'one line of visible ASCII' },
    (token) => (/^[\x21-\x7e]{1,4096}$/.test(token) ? undefined : 'it is not one visible line'),
    withoutLastNewline,
  );

export const passwordFile = (folder: string) =>
  file(
    folder,
    { type: 'file with a password', limits: 'one line' },
    (password) => (/^\P{Cc}{1,4096}$/u.test(password) ? undefined : 'it is not one line of text'),
    withoutLastNewline,
  );

/** A certificate or key; `judge` parses it. */
export const pemFile = (folder: string, judge: (pem: string) => string | undefined) =>
  file(folder, { type: 'PEM file' }, judge, (pem) => pem);

/**
 * A part of the file with the keys of `shape` and no others. The message for an unknown key lists
 * the known ones, one per line: base/config-file.ts picks the nearest.
 */
export function section<S extends z.ZodRawShape>(shape: S) {
  return z.strictObject(shape, {
    error: ({ code }) =>
      code === 'unrecognized_keys' ? Object.keys(shape).join('\n') : 'a section with keys',
  });
}

export function list<T extends z.ZodType>(items: T, { min }: { min: number }) {
  const error = min === 0 ? 'a list' : `a list of at least ${min}`;
  return z.array(items, { error }).min(min, { error }).meta({ type: 'list' });
}
