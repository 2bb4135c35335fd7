import { RE2JS } from 're2js';
import { assert } from './assert.ts';
import { patternCost } from './pattern-cost.ts';

export type ParsedPattern =
  | { kind: 'pattern'; pattern: Pattern }
  | { kind: 'unreadable'; message: string };

/** Characters; lists of some thousand names joined by `|` are in use. */
const SOURCE_LENGTH_MAX = 256 * 1024;
/** Takes about half a second and some hundred megabytes to compile. */
const INSTRUCTIONS_MAX = 300_000;
const DEPTH_MAX = 1000;

/** The text of each group of a match, the whole first; an absent one took no part in it. */
export type Captures = readonly (string | undefined)[];

/**
 * A regular expression in RE2 syntax that has to match the whole text, `.` taking newlines too,
 * as in Prometheus. Takes time in proportion to the text, whatever the pattern. A lone surrogate
 * in the text, which stands for a byte that is no UTF-8, is one character, U+FFFD for the pattern.
 */
export class Pattern {
  /** Numbers of the named groups. */
  readonly names: ReadonlyMap<string, number>;
  /** Without the whole. */
  readonly groupCount: number;
  readonly #engine: RE2JS;

  private constructor(engine: RE2JS) {
    this.#engine = engine;
    this.names = new Map(Object.entries(engine.namedGroups()));
    this.groupCount = engine.groupCount();
  }

  static parse(source: string): ParsedPattern {
    if (source.length > SOURCE_LENGTH_MAX) {
      return { kind: 'unreadable', message: 'it is longer than 262144 characters' };
    }
    const { instructions, depth } = patternCost(source);
    if (instructions > INSTRUCTIONS_MAX || depth > DEPTH_MAX) {
      return { kind: 'unreadable', message: 'it is too large, its repetitions written out' };
    }
    try {
      // Like this and not by flags: `a)|(b` is two alternatives for Prometheus too.
      return { kind: 'pattern', pattern: new Pattern(RE2JS.compile(`^(?s:${source})$`)) };
    } catch (error) {
      assert(error instanceof Error, 'the engine throws errors');
      const message = error.message.replace('error parsing regexp: ', '');
      return { kind: 'unreadable', message: message.replace(/`\^\(\?s:(.*)\)\$`$/s, '`$1`') };
    }
  }

  /** A pattern that has been parsed before, when the configuration was read. */
  static of(source: string): Pattern {
    const parsed = Pattern.parse(source);
    assert(parsed.kind === 'pattern', `no pattern: ${source}`);
    return parsed.pattern;
  }

  test(text: string): boolean {
    return this.#engine.test(text.toWellFormed());
  }

  match(text: string): Captures | undefined {
    // Not `exec`, whose groups would be those of the changed text: offsets are the same in both.
    const matcher = this.#engine.matcher(text.toWellFormed());
    if (!matcher.find()) return undefined;
    const captures: (string | undefined)[] = [];
    for (let group = 0; group <= this.groupCount; group++) {
      const start = matcher.start(group);
      captures.push(start < 0 ? undefined : text.slice(start, matcher.end(group)));
    }
    return captures;
  }
}
