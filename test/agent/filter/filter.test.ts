import { describe, expect, test } from 'vitest';
import { createFilter, type FilterLabel, type FilterStep } from '../../../agent/filter/filter.ts';
import { bytesOfLabels, labelsOfBytes } from '../../../agent/filter/label-text.ts';
import type { FilterConfig } from '../../../agent/filter-config.ts';
import type { RelabelRule } from '../../../agent/relabel-config.ts';
import { canonicalLabelSet, encodeLabels, isCanonicalLabelSet } from '../../../proto/label-set.ts';

const NOTHING: FilterConfig = {
  externalLabels: [],
  relabelRules: [],
  keepMetrics: [],
  dropMetrics: [],
  dropLabels: [],
};
const REPLACE: RelabelRule = {
  action: 'replace',
  sourceLabels: ['a'],
  separator: ';',
  regex: '(.*)',
  modulus: 0n,
  targetLabel: 'to',
  replacement: '$1',
};

function filterOf(part: Partial<FilterConfig>) {
  return createFilter({ ...NOTHING, ...part });
}

function labelsOf(labels: Record<string, string>): FilterLabel[] {
  return Object.entries(labels).map(([name, value]) => ({ name, value }));
}

const up = labelsOf({ __name__: 'up', job: 'node' });

describe('the rules of a filter', () => {
  const filter = filterOf({
    externalLabels: labelsOf({ zone: 'z' }),
    relabelRules: [REPLACE, { ...REPLACE, action: 'drop', regex: 'x' }],
    keepMetrics: ['up', 'node_*', 'go_*'],
    dropMetrics: ['node_cpu', 'node_*'],
    dropMetricsFile: { path: '/drops', entries: ['go_*', '{job="noisy"}'] },
    dropLabels: ['zone'],
  });

  test('have names that stay when others are added', () => {
    expect(filter.rules.map(({ name }) => name)).toEqual([
      'write_relabel_configs[0]',
      'write_relabel_configs[1]',
      'keep_metrics',
      'drop_metrics[0]',
      'drop_metrics[1]',
      'drop_metrics_file: go_*',
      'drop_metrics_file: {job="noisy"}',
      'no_labels',
    ]);
  });

  test.each([
    [{ __name__: 'up', a: 'x' }, 'write_relabel_configs[1]'],
    [{ __name__: 'down' }, 'keep_metrics'],
    [{ __name__: 'node_cpu' }, 'drop_metrics[0]'],
    [{ __name__: 'node_memory' }, 'drop_metrics[1]'],
    [{ __name__: 'go_gc' }, 'drop_metrics_file: go_*'],
    [{ __name__: 'up', job: 'noisy' }, 'drop_metrics_file: {job="noisy"}'],
  ])('are named by a series that one of them drops: %j', (labels, name) => {
    const verdict = filter.apply(labelsOf(labels));
    expect(verdict.kind === 'dropped' && filter.rules[verdict.rule]?.name).toBe(name);
    expect(filter.apply(up)).toEqual({ kind: 'kept', labels: up });
  });

  test('explain themselves in the order in which they run', () => {
    const steps: FilterStep[] = [];
    filter.apply(labelsOf({ __name__: 'go_gc' }), (step) => steps.push(step));
    expect(steps.map(({ rule, result }) => `${rule}: ${result}`)).toEqual([
      'external_labels: zone="z"',
      'write_relabel_configs[0]: unchanged',
      'write_relabel_configs[1]: unchanged',
      'keep_metrics: unchanged',
      'drop_metrics: dropped by drop_metrics_file: go_*',
    ]);
  });
});

test('a filter without rules is one that changes nothing, and says so', () => {
  const filter = filterOf({});
  expect(filter.isIdentity).toBe(true);
  expect(filter.apply(up)).toEqual({ kind: 'kept', labels: up });
  expect(filter.apply([])).toEqual({ kind: 'dropped', rule: 0 });
  expect(filterOf({ externalLabels: labelsOf({ a: 'b' }) }).isIdentity).toBe(false);
});

test('a configuration reaches another thread as it is', () => {
  const config = { ...NOTHING, relabelRules: [{ ...REPLACE, modulus: 2n ** 64n - 1n }] };
  expect(structuredClone(config)).toEqual(config);
});

test('ten thousand names are no slower than one', () => {
  const names = Array.from({ length: 10_000 }, (_, index) => `metric_${index}`);
  const filter = filterOf({ keepMetrics: names, dropMetrics: names.slice(5000) });
  const startMs = performance.now();
  const kept = names.filter((__name__) => filter.apply(labelsOf({ __name__ })).kind === 'kept');
  expect(kept).toEqual(names.slice(0, 5000));
  expect(performance.now() - startMs).toBeLessThan(5000);
});

describe('bytes that are no UTF-8', () => {
  const wire = encodeLabels([
    { name: Buffer.from('__name__'), value: Buffer.from('up') },
    { name: Buffer.from('a'), value: Buffer.from([0x61, 0xc3]) },
    { name: Buffer.from('b'), value: Buffer.from([0xb6, 0xff]) },
  ]);

  function valueAfter(relabelRules: RelabelRule[], name = 'to') {
    const verdict = filterOf({ relabelRules }).apply(labelsOfBytes(wire));
    const labels = verdict.kind === 'kept' ? verdict.labels : [];
    return labels.find((label) => label.name === name)?.value;
  }

  test('pass, and what comes out of a filter is canonical', () => {
    expect(bytesOfLabels(labelsOfBytes(wire))).toEqual(wire);
    const relabelRules = [{ ...REPLACE, targetLabel: 'A', replacement: '$1ö' }];
    const verdict = filterOf({ relabelRules }).apply(labelsOfBytes(wire));
    const out = bytesOfLabels(verdict.kind === 'kept' ? verdict.labels : []);
    expect(isCanonicalLabelSet(out, 0, out.length)).toBe(true);
    expect(canonicalLabelSet(out)).toEqual({ kind: 'canonical', bytes: out });
  });

  test('are each a character, U+FFFD for a pattern, and themselves in a group', () => {
    expect(valueAfter([{ ...REPLACE, regex: 'a(.)' }])).toBe('\udcc3');
    expect(valueAfter([{ ...REPLACE, regex: 'a(\\x{FFFD})' }])).toBe('\udcc3');
    expect(valueAfter([{ ...REPLACE, regex: 'a([^\ufffd])' }])).toBeUndefined();
    const drop: RelabelRule = { ...REPLACE, action: 'drop', regex: 'a[^\ufffd]' };
    expect(valueAfter([drop], 'a')).toBe('a\udcc3');
  });

  test('become a character when two values are joined, or two groups', () => {
    const joined = { ...REPLACE, sourceLabels: ['a', 'b'], separator: '' };
    expect(valueAfter([{ ...joined, regex: 'a(.).' }])).toBe('ö');
    const byGroups = {
      ...joined,
      sourceLabels: ['b', 'a'],
      regex: '(.)(.)a(.)',
      replacement: '$3$1',
    };
    const next = {
      ...REPLACE,
      sourceLabels: ['to'],
      regex: '.',
      targetLabel: 'next',
      replacement: 'y',
    };
    expect(valueAfter([byGroups, next], 'next')).toBe('y');
  });

  test('are no name', () => {
    expect(
      valueAfter([{ ...REPLACE, targetLabel: '$1', replacement: 'x' }], 'a\udcc3'),
    ).toBeUndefined();
  });

  test('become U+FFFD in lower and upper case, as in Go', () => {
    expect(valueAfter([{ ...REPLACE, action: 'uppercase' }])).toBe('A\ufffd');
  });
});
