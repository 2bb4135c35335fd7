import { Pattern } from '../base/pattern.ts';
import { type QuotedText, readQuoted } from './quoted-text.ts';

/** What a label's value must be; an absent label has the empty value, as in Prometheus. */
export interface Matcher {
  name: string;
  test(value: string): boolean;
}

export type Selector =
  | { kind: 'selector'; matchers: Matcher[] }
  | { kind: 'unreadable'; message: string };

/** Characters. */
const SELECTOR_LENGTH_MAX = 65_536;
const METRIC_NAME = /\s*([a-zA-Z_:][\w:]*)?\s*/y;
const LABEL_NAME = /\s*([a-zA-Z_]\w*)?\s*/y;
const OPERATOR = /\s*(=~|!~|!=|=)?\s*/y;
const PUNCTUATION = /\s*([{},]?)\s*/y;

type Operator = '=' | '!=' | '=~' | '!~';

/**
 * Reads a plain instant selector of PromQL: `name{a="b",c!="d",e=~"f.*",g!~"h"}` or
 * `{"any name","any label"="b"}`. Functions, operators, ranges and offsets are unreadable here.
 * Patterns are RE2, anchored at both ends. Texts are in the form of proto/byte-text.ts.
 */
export function parseSelector(text: string): Selector {
  if (text.length > SELECTOR_LENGTH_MAX) return unreadable('it is longer than 65536 characters');
  const reader = new SelectorReader(text);
  try {
    return { kind: 'selector', matchers: reader.selector() };
  } catch (error) {
    if (error instanceof Unreadable) return unreadable(error.message);
    throw error;
  }
}

/** Whether a series without any label would match: PromQL permits no such selector. */
export function matchesNoLabels(matchers: readonly Matcher[]): boolean {
  return matchers.every(({ test }) => test(''));
}

function unreadable(message: string): Selector {
  return { kind: 'unreadable', message };
}

class Unreadable extends Error {}

class SelectorReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  selector(): Matcher[] {
    const matchers: Matcher[] = [];
    const metricName = this.#take(METRIC_NAME);
    if (metricName !== '') matchers.push(matcher('__name__', '=', metricName));
    const isBraced = this.#take(PUNCTUATION) === '{';
    if (isBraced) this.#matchersInto(matchers, metricName !== '');
    if (this.#at < this.#text.length || (metricName === '' && !isBraced)) {
      throw new Unreadable('it is no plain selector such as up{job="a"}');
    }
    return matchers;
  }

  /** What stands in braces, the closing one included. */
  #matchersInto(matchers: Matcher[], hasName: boolean): void {
    let isNamed = hasName;
    for (;;) {
      const from = this.#at;
      const quoted = this.#quoted();
      const label = quoted ?? this.#take(LABEL_NAME);
      const operator = this.#take(OPERATOR);
      if (quoted === '') throw this.#noMatcher(from);
      if (label === '') {
        if (operator !== '' || this.#take(PUNCTUATION) !== '}') throw this.#noMatcher(from);
        return;
      }
      if (operator === '') {
        if (quoted === undefined || isNamed) throw this.#noMatcher(from);
        isNamed = true;
        matchers.push(matcher('__name__', '=', quoted));
      } else {
        const operand = this.#quoted();
        if (operand === undefined) throw this.#noMatcher(from);
        matchers.push(matcher(label, operator as Operator, operand));
      }
      const end = this.#take(PUNCTUATION);
      if (end === '}') return;
      if (end !== ',') throw this.#noMatcher(from);
    }
  }

  #noMatcher(from: number): Unreadable {
    return new Unreadable(`no label matcher: ${this.#text.slice(from, from + 80)}`);
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [whole = '', token = ''] = pattern.exec(this.#text) ?? [];
    this.#at += whole.length;
    return token;
  }

  #quoted(): string | undefined {
    const read: QuotedText = readQuoted(this.#text, this.#at);
    if (read.kind === 'none') return undefined;
    if (read.kind === 'unreadable') throw new Unreadable(read.message);
    this.#at = read.end;
    return read.text;
  }
}

function matcher(name: string, operator: Operator, operand: string): Matcher {
  if (operator === '=') return { name, test: (value) => value === operand };
  if (operator === '!=') return { name, test: (value) => value !== operand };
  const parsed = Pattern.parse(operand);
  if (parsed.kind === 'unreadable') throw new Unreadable(`pattern of ${name}: ${parsed.message}`);
  const { pattern } = parsed;
  if (operator === '=~') return { name, test: (value) => pattern.test(value) };
  return { name, test: (value) => !pattern.test(value) };
}
