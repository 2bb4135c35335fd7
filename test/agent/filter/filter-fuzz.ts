// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Go's replacements look like this.

import { createFilter } from '../../../agent/filter/filter.ts';
import { bytesOfLabels, labelsOfBytes } from '../../../agent/filter/label-text.ts';
import type { FilterConfig } from '../../../agent/filter-config.ts';
import { RELABEL_ACTIONS, type RelabelRule } from '../../../agent/relabel-config.ts';
import { Pattern } from '../../../base/pattern.ts';
import { encodeLabels, forEachLabel } from '../../../proto/label-set.ts';
import { Chance } from '../../sim/chance.ts';
import { latin1, modelFilter, type Pair } from './filter-model.ts';

const NAMES = ['__name__', 'a', 'b', 'c', 'meta_a', 'meta_b', 'meta_a_b', 'ö', 'my.label', 'a b'];
const METRICS = ['up', 'go_gc', 'go_', 'node_cpu', 'x.y', 'ö_total'];
/** Bytes of Latin-1: letters, characters of two to four bytes, and what is none. */
const PIECES = [
  ...['a', 'b', 'c', 'ab', 'AB', '1', ';', '-', '_', '\n', ' ', 'a'.repeat(20)],
  ...['ö', 'Ö', 'ü', 'ß', '☃', '😀', '\ufffd', '\ufeff'].map(latin1),
  ...['\xff', '\xc3', '\xb6', '\xed\xa0\x80', '\xf0\x9f', '\xc0\x80', '\xf4\x90\x80\x80'],
];
/** Of the language that RE2 and JavaScript share: no group is repeated. */
const ATOMS = [
  'a',
  'b',
  'c',
  '.',
  '[ab]',
  '[^a]',
  '[a-c]',
  'ö',
  '😀',
  '\ufffd',
  '_',
  '(?:ab)',
  ';',
];
const TEMPLATES = [
  '$1',
  '${1}',
  '$2',
  '$0',
  'x',
  '',
  '${1}_$2',
  '$$',
  'ö$1',
  '$1$2',
  '$1x',
  '${3}',
];
const LISTS = ['up', 'go_*', '*_*', '?p', 'ö*', 'x.y', '*', 'a', 'meta_?', '???'];
const GARBAGE = [...'()[]{}*+?|\\^$.,:-abz09<>=!PpQEuxdws', '{2}', '(?i)', '[[:', ':]]', '\\p{'];

/** Patterns that make an engine that backtracks hang, with what their values are made of. */
const HARD: [regex: string, piece: string][] = [
  ['(a+)+b', 'a'],
  ['(x+x+)+y', 'x'],
  ['(a|aa)+$', 'a'],
  ['(.*)*z', 'ab'],
  ['((a{0,30}){0,30})x', 'a'],
  ['(?:a?){100}a{100}b', 'a'],
  ['(\\w+\\s?)*!', 'word '],
  ['(.*)(.*)(.*)(.*)[^\\n]z', 'ö'],
  ['([a-z]+)*([0-9]+)*;', 'a1'],
];
const CASE_MS_MAX = 10_000;

/** Runs case after case; returns what was not as it should be. Every case has a seed of its own. */
export function fuzzFilters(seed: string, cases: number): string[] {
  const problems: string[] = [];
  for (let index = 0; index < cases && problems.length < 10; index++) {
    const chance = new Chance(`${seed}/${index}`);
    const startMs = performance.now();
    const kind = index % 20 === 0 ? hardCase : index % 20 === 1 ? garbageCase : modelCase;
    const problem = kind(chance);
    const tookMs = performance.now() - startMs;
    if (problem !== undefined) problems.push(`case ${index}: ${problem}`);
    if (tookMs > CASE_MS_MAX) problems.push(`case ${index}: took ${tookMs} ms`);
  }
  return problems;
}

function several<T>(chance: Chance, max: number, draw: () => T): T[] {
  return Array.from({ length: chance.whole(0, max) }, draw);
}

function drawLabels(chance: Chance): Pair[] {
  const names = new Set(several(chance, 7, () => chance.pick(NAMES)));
  return [...names].map((name) => {
    const value = name === '__name__' ? latin1(chance.pick(METRICS)) : drawValue(chance);
    return [latin1(name), value];
  });
}

function drawValue(chance: Chance): string {
  return several(chance, 4, () => chance.pick(PIECES)).join('');
}

function drawRegex(chance: Chance): string {
  const parts = several(chance, 4, () => {
    const atom = `${chance.pick(ATOMS)}${chance.pick(['', '', '*', '+', '?', '*?', '{1,2}'])}`;
    return chance.maybe(0.4) ? `(${atom})` : atom;
  });
  if (chance.maybe(0.2)) parts.push('|', chance.pick(ATOMS));
  return chance.maybe(0.3) ? '(.*)' : parts.join('');
}

function drawRule(chance: Chance): RelabelRule {
  const action = chance.pick(RELABEL_ACTIONS);
  const name = chance.pick(['a', 'b', 'new', '__name__', 'ö']);
  const isTemplate = action === 'replace' && chance.maybe(0.3);
  return {
    action,
    sourceLabels: several(chance, 3, () => chance.pick(NAMES)),
    separator: chance.pick([';', '', 'ö']),
    regex: drawRegex(chance),
    modulus: chance.pick([1n, 7n, 1000n, 2n ** 63n + 1n]),
    targetLabel: isTemplate ? chance.pick(TEMPLATES) : name,
    replacement: chance.pick(TEMPLATES),
  };
}

function drawConfig(chance: Chance): FilterConfig {
  const list = (probability: number) =>
    chance.maybe(probability) ? several(chance, 2, () => chance.pick(LISTS)) : [];
  return {
    externalLabels: several(chance, 2, () => {
      return { name: chance.pick(NAMES.slice(1)), value: chance.pick(['ext', 'ö']) };
    }),
    relabelRules: several(chance, 4, () => drawRule(chance)),
    keepMetrics: list(0.2),
    dropMetrics: list(0.2),
    dropLabels: list(0.3),
  };
}

/** The filter and the model, from bytes to bytes. */
function modelCase(chance: Chance): string | undefined {
  const config = drawConfig(chance);
  const labels = drawLabels(chance);
  const filter = createFilter(structuredClone(config));
  const verdict = filter.apply(labelsOfBytes(wireOf(labels)));
  const found = verdict.kind === 'kept' ? pairsOf(bytesOfLabels(verdict.labels)) : undefined;
  const expected = modelFilter(config, labels);
  if (JSON.stringify(found) === JSON.stringify(expected)) return undefined;
  const shown = JSON.stringify({ config, labels, found, expected }, (_, value) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  return `not as the model: ${shown}`;
}

function wireOf(labels: readonly Pair[]): Uint8Array {
  return encodeLabels(
    labels.map(([name, value]) => {
      return { name: Buffer.from(name, 'latin1'), value: Buffer.from(value, 'latin1') };
    }),
  );
}

function pairsOf(wire: Uint8Array): Pair[] {
  const pairs: Pair[] = [];
  forEachLabel(wire, (name, value) => {
    pairs.push([Buffer.from(name).toString('latin1'), Buffer.from(value).toString('latin1')]);
  });
  return pairs;
}

/** A hard pattern on a long value: it comes to an end, and other labels stay as they are. */
function hardCase(chance: Chance): string | undefined {
  const [regex, piece] = chance.pick(HARD);
  const long = piece.repeat(chance.whole(1, chance.maybe(0.05) ? 20_000 : 500));
  const others = drawLabels(chance).filter(([name]) => name !== 'a');
  const rule: RelabelRule = {
    ...drawRule(chance),
    action: chance.pick(['replace', 'drop', 'keep']),
    sourceLabels: ['a'],
    regex,
    targetLabel: 'new',
    replacement: '$1',
  };
  const filter = createFilter({
    externalLabels: [],
    relabelRules: [rule],
    keepMetrics: [],
    dropMetrics: [],
    dropLabels: [],
  });
  const verdict = filter.apply(labelsOfBytes(wireOf([...others, ['a', latin1(long)]])));
  if (verdict.kind === 'dropped') return undefined;
  const isOther = ([name]: Pair) => name !== 'new' && name !== 'a';
  const found = pairsOf(bytesOfLabels(verdict.labels)).filter(isOther);
  const expected = others.filter(([, value]) => value !== '').sort(([a], [b]) => (a < b ? -1 : 1));
  if (JSON.stringify(found) === JSON.stringify(expected)) return undefined;
  return `${regex} changed ${JSON.stringify(expected)} to ${JSON.stringify(found)}`;
}

/** Text that may be a pattern or not: either way that is what one hears. */
function garbageCase(chance: Chance): string | undefined {
  const source = several(chance, 30, () => chance.pick(GARBAGE)).join('');
  try {
    const parsed = Pattern.parse(source);
    if (parsed.kind === 'unreadable') return undefined;
    const text = several(chance, 30, () => chance.pick(GARBAGE)).join('');
    const isMatch = parsed.pattern.test(text);
    const groups = parsed.pattern.match(text);
    return isMatch === (groups !== undefined) ? undefined : `${source} on ${text}: two answers`;
  } catch (error) {
    return `${source}: ${String(error)}`;
  }
}
