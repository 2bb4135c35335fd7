/** What a label's value must be; an absent label has the empty value, as in Prometheus. */
export interface Matcher {
  name: string;
  test(value: string): boolean;
}

export type Selector =
  | { kind: 'selector'; matchers: Matcher[] }
  | { kind: 'unreadable'; message: string };

/** Characters; the patterns below backtrack and must not run for long. */
const SELECTOR_LENGTH_MAX = 4096;
const WHOLE = /^\s*([a-zA-Z_:][\w:]*)?\s*(?:\{\s*(.*)\})?\s*$/s;
const MATCHER =
  /([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)\s*(?:,\s*|$)/y;
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

/**
 * Reads a plain instant selector of PromQL: `name{a="b",c!="d",e=~"f.*",g!~"h"}`. Functions,
 * operators, ranges and offsets are unreadable here. Patterns are anchored at both ends; they are
 * JavaScript's, which differ from RE2 in rare corners.
 */
export function parseSelector(text: string): Selector {
  const whole = text.length > SELECTOR_LENGTH_MAX ? null : WHOLE.exec(text);
  if (whole === null) return unreadable('only plain selectors such as up{job="a"} are answered');
  const [, metricName, body = ''] = whole;
  const matchers: Matcher[] = [];
  if (metricName !== undefined) matchers.push(toMatcher('__name__', '=', metricName));
  for (let at = 0; at < body.length; at = MATCHER.lastIndex) {
    MATCHER.lastIndex = at;
    const [, name, operator, literal] = MATCHER.exec(body) ?? [];
    if (name === undefined) return unreadable(`no label matcher: ${body.slice(at)}`);
    try {
      matchers.push(toMatcher(name, operator!, unquote(literal!)));
    } catch (error) {
      return unreadable(String(error)); // of RegExp, about a pattern it cannot read
    }
  }
  if (matchers.every(({ test }) => test(''))) {
    return unreadable('at least one matcher must refuse the empty value');
  }
  return { kind: 'selector', matchers };
}

function toMatcher(name: string, operator: string, operand: string): Matcher {
  const isPattern = operator.endsWith('~');
  const pattern = isPattern ? new RegExp(`^(?:${operand})$`, 's') : undefined;
  const wanted = operator.startsWith('=');
  return { name, test: (value) => (pattern?.test(value) ?? value === operand) === wanted };
}

function unquote(literal: string): string {
  const inner = literal.slice(1, -1);
  if (literal.startsWith('`')) return inner;
  return inner.replace(/\\(.)/gs, (_, escaped: string) => ESCAPES[escaped] ?? escaped);
}

function unreadable(message: string): Selector {
  return { kind: 'unreadable', message };
}
