import type { Captures, Pattern } from '../../base/pattern.ts';
import { normalText } from '../../proto/byte-text.ts';

/** Literal texts and numbers of groups. */
export type Template = readonly (string | number)[];

const VARIABLE = /\$(?:\$|\{(?<braced>[\p{L}\p{Nd}_]+)\}|(?<bare>[\p{L}\p{Nd}_]+))/gu;
/** Go takes names of digits for numbers, unless they begin with 0 or have nine digits and more. */
const GROUP_NUMBER = /^(?:0|[1-9]\d{0,8})$/;

/**
 * Reads a replacement as Go's regexp does: `$1`, `${1}`, `$name`, `${name}`, `$$`; the longest
 * name counts, so that `$1x` is the group called "1x". Groups that the pattern does not have are
 * empty, any other dollar is itself.
 */
export function parseTemplate(text: string, pattern: Pattern): Template {
  const template: (string | number)[] = [];
  let from = 0;
  for (const { 0: variable, index, groups = {} } of text.matchAll(VARIABLE)) {
    template.push(text.slice(from, index));
    from = index + variable.length;
    const name = groups['braced'] ?? groups['bare'];
    if (name === undefined) template.push('$');
    else template.push(groupOf(name, pattern) ?? '');
  }
  template.push(text.slice(from));
  return template.filter((part) => part !== '');
}

function groupOf(name: string, pattern: Pattern): number | undefined {
  if (!GROUP_NUMBER.test(name)) return pattern.names.get(name);
  return Number(name) <= pattern.groupCount ? Number(name) : undefined;
}

export function expand(template: Template, captures: Captures): string {
  const parts = template.map((part) => (typeof part === 'string' ? part : (captures[part] ?? '')));
  return normalText(parts.join(''));
}
