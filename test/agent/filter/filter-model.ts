import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { FilterConfig } from '../../../agent/filter-config.ts';
import type { RelabelRule } from '../../../agent/relabel-config.ts';

// What a filter does, a second time and as simply as can be: on bytes, each a character of Latin-1,
// with JavaScript's patterns, for the part of their language that is the same in RE2, and with the
// lists that Prometheus' labels.Builder keeps.

/** Names and values as the bytes of Latin-1. */
export type Pair = [name: string, value: string];

/** The labels that are left, sorted; undefined: dropped. */
export function modelFilter(config: FilterConfig, labels: readonly Pair[]): Pair[] | undefined {
  const builder = new ModelBuilder(labels);
  for (const { name, value } of config.externalLabels) {
    if (builder.get(latin1(name)) === '') builder.set(latin1(name), latin1(value));
  }
  for (const rule of config.relabelRules) {
    if (!relabel(rule, builder)) return undefined;
  }
  const name = builder.get('__name__');
  const isListed = (entry: string) => globMatches([...text(name)], [...entry]);
  if (config.keepMetrics.length > 0 && !config.keepMetrics.some(isListed)) return undefined;
  if (config.dropMetrics.some(isListed)) return undefined;
  for (const [label] of builder.range()) {
    const isDropped = config.dropLabels.some((glob) => globMatches([...text(label)], [...glob]));
    if (isDropped && label !== '__name__') builder.del(label);
  }
  const left = builder.range().sort(([a], [b]) => (a < b ? -1 : 1));
  return left.length === 0 ? undefined : left;
}

class ModelBuilder {
  readonly #base: Pair[];
  readonly #deleted: string[];
  #added: Pair[] = [];

  constructor(labels: readonly Pair[]) {
    this.#base = labels.toSorted(([a], [b]) => (a < b ? -1 : 1));
    this.#deleted = labels.filter(([, value]) => value === '').map(([name]) => name);
  }

  get(name: string): string {
    const added = this.#added.find(([candidate]) => candidate === name);
    if (added !== undefined) return added[1];
    if (this.#deleted.includes(name)) return '';
    return this.#base.find(([candidate]) => candidate === name)?.[1] ?? '';
  }

  set(name: string, value: string): void {
    const added = this.#added.find(([candidate]) => candidate === name);
    if (value === '') this.del(name);
    else if (added === undefined) this.#added.push([name, value]);
    else added[1] = value;
  }

  del(name: string): void {
    this.#added = this.#added.filter(([candidate]) => candidate !== name);
    this.#deleted.push(name);
  }

  range(): Pair[] {
    const isHidden = (name: string) =>
      this.#deleted.includes(name) || this.#added.some(([added]) => added === name);
    const base = this.#base.filter(([name]) => !isHidden(name));
    return [...base, ...this.#added].map(([name, value]) => [name, value]);
  }
}

function relabel(rule: RelabelRule, labels: ModelBuilder): boolean {
  const value = rule.sourceLabels
    .map((name) => labels.get(latin1(name)))
    .join(latin1(rule.separator));
  const target = latin1(rule.targetLabel);
  if (rule.action === 'keep') return match(rule.regex, value) !== undefined;
  if (rule.action === 'drop') return match(rule.regex, value) === undefined;
  if (rule.action === 'keepequal') return labels.get(target) === value;
  if (rule.action === 'dropequal') return labels.get(target) !== value;
  if (rule.action === 'lowercase') labels.set(target, mapped(value, 'äöüz', 'ÄÖÜZ'));
  if (rule.action === 'uppercase') labels.set(target, mapped(value, 'ÄÖÜZ', 'äöüz'));
  if (rule.action === 'hashmod') {
    const digest = createHash('md5').update(value, 'latin1').digest('hex').slice(16);
    labels.set(target, `${BigInt(`0x${digest}`) % rule.modulus}`);
  }
  if (rule.action === 'replace') {
    const groups = match(rule.regex, value);
    const name = groups && expanded(rule.targetLabel, groups);
    if (groups === undefined || name === undefined || name === '') return true;
    if (isUtf8(Buffer.from(name, 'latin1'))) labels.set(name, expanded(rule.replacement, groups));
  }
  for (const [name, own] of labels.range()) {
    if (rule.action === 'labeldrop' && match(rule.regex, name) !== undefined) labels.del(name);
    if (rule.action === 'labelkeep' && match(rule.regex, name) === undefined) labels.del(name);
    const groups = rule.action === 'labelmap' ? match(rule.regex, name) : undefined;
    if (groups !== undefined) labels.set(expanded(rule.replacement, groups), own);
  }
  return true;
}

/** Groups as bytes; the pattern sees a byte that is no UTF-8 as U+FFFD. */
function match(regex: string, bytes: string): string[] | undefined {
  const characters = charactersOf(bytes);
  const seen = characters.map(({ character }) => character).join('');
  const found = new RegExp(`^(?:${regex})$`, 'dsu').exec(seen);
  if (found === null) return undefined;
  const starts = new Map<number, number>();
  let at = 0;
  let byteAt = 0;
  for (const { character, bytes: own } of characters) {
    starts.set(at, byteAt);
    at += character.length;
    byteAt += own.length;
  }
  starts.set(at, byteAt);
  return [...(found.indices ?? [])].map((range) =>
    range === undefined ? '' : bytes.slice(starts.get(range[0]), starts.get(range[1])),
  );
}

/** Of the templates that are drawn; a group that is not there is empty. */
function expanded(template: string, groups: readonly string[]): string {
  return latin1(template).replace(/\$\$|\$\{(\w+)\}|\$(\w+)/g, (variable, braced, bare) => {
    if (variable === '$$') return '$';
    const name: string = braced ?? bare;
    return /^\d+$/.test(name) ? (groups[Number(name)] ?? '') : '';
  });
}

function charactersOf(bytes: string): { character: string; bytes: string }[] {
  const characters: { character: string; bytes: string }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const lengths = [1, 2, 3, 4].filter((length) => at + length <= bytes.length);
    const length = lengths.find((n) => isUtf8(Buffer.from(bytes.slice(at, at + n), 'latin1')));
    const own = bytes.slice(at, at + (length ?? 1));
    characters.push({ character: length === undefined ? '\ufffd' : text(own), bytes: own });
    at += own.length;
  }
  return characters;
}

/** Letters a to z, and of the others those that the values are made of. */
function mapped(bytes: string, to: string, from: string): string {
  const isLower = to.endsWith('z');
  const letters = charactersOf(bytes).map(({ character }) => {
    if (/^[a-zA-Z]$/.test(character)) {
      return isLower ? character.toLowerCase() : character.toUpperCase();
    }
    return to[from.indexOf(character)] ?? character;
  });
  return latin1(letters.join(''));
}

function globMatches(name: readonly string[], glob: readonly string[]): boolean {
  const [first, ...rest] = glob;
  if (first === undefined) return name.length === 0;
  if (first === '*') {
    return globMatches(name, rest) || (name.length > 0 && globMatches(name.slice(1), glob));
  }
  return (
    name.length > 0 && (first === '?' || first === name[0]) && globMatches(name.slice(1), rest)
  );
}

export function latin1(string: string): string {
  return Buffer.from(string, 'utf8').toString('latin1');
}

function text(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
