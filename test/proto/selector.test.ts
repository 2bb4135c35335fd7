import { describe, expect, it } from 'vitest';
import { matchesNoLabels, parseSelector } from '../../proto/selector.ts';

function selects(text: string, labels: Record<string, string>): boolean {
  const selector = parseSelector(text);
  if (selector.kind === 'unreadable') throw new Error(selector.message);
  return selector.matchers.every(({ name, test }) => test(labels[name] ?? ''));
}

const up = { __name__: 'up', job: 'node', instance: 'a.b:9100' };

describe('a selector', () => {
  it.each([
    ['up', true],
    ['down', false],
    ['  up  ', true],
    ['up{}', true],
    ['{__name__="up"}', true],
    ['{__name__=~"u.|x"}', true],
    ['up{job="node"}', true],
    ['up{job="nod"}', false],
    ['up{job!="node"}', false],
    ['up{job!="other"}', true],
    ['up{ job = "node" , instance = "a.b:9100" , }', true],
    ["up{job='node'}", true],
    ['up{job=`node`}', true],
    ['up{job=~"no"}', false],
    ['up{job=~"no|node"}', true],
    ['up{job=~"no.*"}', true],
    ['up{instance=~"a\\\\.b:\\\\d+"}', true],
    ['up{instance=~`a\\.b:\\d+`}', true],
    ['up{instance!~"a.*"}', false],
    ['up{instance!~"b.*"}', true],
    ['up{absent=""}', true],
    ['up{absent!=""}', false],
    ['up{absent=~".*"}', true],
  ])('%s: %s', (text, expected) => {
    expect(selects(text, up)).toBe(expected);
  });

  it('reads escapes, braces and commas inside quotes as part of the value', () => {
    expect(selects('x{a="}\\",\\n{"}', { __name__: 'x', a: '}",\n{' })).toBe(true);
  });

  it('takes labels that are called like properties of every object', () => {
    expect(selects('x{constructor="y"}', { __name__: 'x', constructor: 'y' })).toBe(true);
  });

  it.each([
    '',
    'up[5m]',
    'up offset 5m',
    'rate(up[5m])',
    'up + up',
    'up{job="a"} + up{job="b"}',
    'up{job}',
    'up{job="a" instance="b"}',
    'up{,}',
    'up{job="a}',
    'up{job="a"',
    'up{job=a}',
    'up{job=~"("}',
    '1up',
    `up{job="${'a'.repeat(70_000)}"}`,
  ])('%s is unreadable', (text) => {
    expect(parseSelector(text).kind).toBe('unreadable');
  });

  it.each(['{}', '{job=""}', '{job=~".*"}', '{job!="a"}'])('%s matches without labels', (text) => {
    const selector = parseSelector(text);
    expect(selector.kind === 'selector' && matchesNoLabels(selector.matchers)).toBe(true);
  });

  it('takes names of any characters in quotes, that of the metric among them', () => {
    const labels = { __name__: 'my.metric', 'my label': 'ö' };
    expect(selects('{"my.metric", "my label"="ö"}', labels)).toBe(true);
    expect(selects('{"my.metric", "my label"!="ö"}', labels)).toBe(false);
    expect(selects('{"my metric"}', labels)).toBe(false);
  });

  it.each([
    ['"\\x41\\102\\u0043\\U0001f600"', 'ABC😀'],
    [`'"\\''`, `"'`],
    ['"\\xc3\\xbc"', 'ü'],
    ['"\\xff"', '\udcff'],
    ['`\\n`', '\\n'],
  ])('reads %s as Go does', (literal, value) => {
    expect(selects(`x{a=${literal}}`, { __name__: 'x', a: value })).toBe(true);
  });

  it.each(['"\\q"', `"\\'"`, '"\\400"', '"\\ud800"', '"\\x4"'])('refuses %s', (literal) => {
    expect(parseSelector(`x{a=${literal}}`)).toMatchObject({
      message: expect.stringContaining('no escape of PromQL'),
    });
  });

  it.each(['{""="a"}', '{""}', 'up{"up"}', '{"a","b"}', '{a=~"(?=b)"}', '{="a"}'])(
    '%s is unreadable',
    (text) => {
      expect(parseSelector(text).kind).toBe('unreadable');
    },
  );
});
