import { describe, expect, it } from 'vitest';
import type { FilterConfig } from '../../agent/filter-config.ts';
import type { LimitsConfig } from '../../agent/limits-config.ts';
import type { RelabelRule } from '../../agent/relabel-config.ts';
import { SeriesTable, type SharedSeries } from '../../agent/series/series-table.ts';
import { SeriesRules } from '../../agent/series-rules.ts';
import { decodeEntry } from '../../proto/dictionary-entry.ts';
import { formatLabelSet } from '../../proto/label-set.ts';
import { DROPPED, REFUSED, type SeriesGate } from '../../proto/series-lookup.ts';
import { labels } from '../proto/wire-fixture.ts';

const NO_FILTER: FilterConfig = {
  externalLabels: [],
  relabelRules: [],
  keepMetrics: [],
  dropMetrics: [],
  dropLabels: [],
};
const LIMITS: LimitsConfig = {
  labels: { labelNamesMax: 4, labelNameBytesMax: 8, labelValueBytesMax: 6, nameScheme: 'legacy' },
  series: { perTenantMax: 0, perMetricMax: 0 },
  aheadMaxMs: 0,
  exemplarLabelLengthMax: 0,
};

interface Given {
  filter?: Partial<FilterConfig>;
  limits?: Partial<LimitsConfig>;
}

/** A table behind rules, as the agent joins them. */
function start({ filter, limits }: Given) {
  const config = { filter: { ...NO_FILTER, ...filter }, limits: { ...LIMITS, ...limits } };
  const dropped: string[] = [];
  const shared: SharedSeries[] = [];
  const rules = new SeriesRules(config, (rule) => dropped.push(rule));
  const table = new SeriesTable({
    seriesMax: 1000,
    gate: rules.gate,
    limits: config.limits.series,
    onShared: (one) => shared.push(one),
  });
  const tenant = table.tenant('t');
  const resolve = (...pairs: (readonly [string, string])[]): number => {
    const bytes = labels(...pairs);
    return table.resolve(tenant, bytes, 0, bytes.length);
  };
  const entries = (): string[] =>
    (table.takeNewEntries()?.entries ?? []).map((entry) => {
      const decoded = decodeEntry(entry);
      return decoded.kind === 'series' ? formatLabelSet(decoded.labels) : decoded.family;
    });
  return { rules, table, dropped, shared, resolve, entries };
}

const metric = (name: string) => ['__name__', name] as const;

describe('filters', () => {
  it('change a series once, and give every form of its labels the same id', () => {
    const { resolve, entries } = start({
      filter: { externalLabels: [{ name: 'zone', value: 'a' }], dropLabels: ['id'] },
    });
    expect(resolve(metric('up'), ['id', '7'])).toBe(0);
    expect(resolve(['id', '7'], metric('up'))).toBe(0);
    expect(resolve(metric('up'), ['id', '7'], ['zone', ''])).toBe(0);
    expect(resolve(metric('up'), ['zone', 'b'])).toBe(1);
    expect(entries()).toEqual(['{__name__="up", zone="a"}', '{__name__="up", zone="b"}']);
  });

  it('tell a series that comes in from one that another has become', () => {
    const { resolve } = start({ filter: { dropMetrics: ['up{id=""}'], dropLabels: ['id'] } });
    expect(resolve(metric('up'), ['id', '1'])).toBe(0);
    // The very bytes of entry 0, which come in here and are dropped.
    expect(resolve(metric('up'))).toBe(DROPPED);
    expect(resolve(metric('up'), ['id', '1'])).toBe(0);
  });

  it('are named where what they make is no series', () => {
    const rule: RelabelRule = {
      action: 'labeldrop',
      sourceLabels: [],
      separator: ';',
      regex: '__name__',
      modulus: 0n,
      targetLabel: '',
      replacement: '$1',
    };
    const { table, resolve } = start({ filter: { relabelRules: [rule] } });
    expect(resolve(metric('up'), ['a', '1'])).toBe(REFUSED);
    expect(table.lastRefusal).toMatchObject({
      reason: 'no_metric_name',
      detail: 'labels without a metric name, which the rules of the agent make',
    });
  });

  it('name the rule that drops, in whatever configuration it was met', () => {
    const { rules, table, resolve, dropped } = start({ filter: { dropMetrics: ['a', 'b'] } });
    const [a, b] = [resolve(metric('a')), resolve(metric('b'))];
    expect(resolve(metric('b'))).toBe(b);
    expect(dropped).toHaveLength(2);
    const names = [a, b].map((id) => rules.nameOf(DROPPED - id));
    expect(names).toEqual(dropped);
    const filter = { ...NO_FILTER, keepMetrics: ['b'] };
    rules.change({ filter, limits: LIMITS });
    table.changeGate(rules.gate, LIMITS.series);
    expect(resolve(metric('b'))).toBe(0);
    expect(rules.nameOf(DROPPED - resolve(metric('a')))).toBe('keep_metrics');
    expect(rules.nameOf(DROPPED - a)).toBe(names[0]);
  });
});

describe('two series that become one', () => {
  it('are reported once when their samples interleave', () => {
    const { table, resolve, shared } = start({ filter: { dropLabels: ['pod'] } });
    const pod = (name: string) => resolve(metric('up'), ['pod', name]);
    expect([pod('a'), pod('b')]).toEqual([0, 0]);
    expect(shared).toEqual([]);
    for (let scrape = 0; scrape < 3; scrape++) expect([pod('a'), pod('b')]).toEqual([0, 0]);
    expect(shared).toHaveLength(1);
    expect(formatLabelSet(shared[0]!.series)).toBe('{__name__="up"}');
    expect(shared[0]!.sets.map((set) => formatLabelSet(set)).sort()).toEqual([
      '{__name__="up", pod="a"}',
      '{__name__="up", pod="b"}',
    ]);
    expect(table.sharedCount).toBe(1);
  });

  it('are no trouble where one takes the place of the other', () => {
    const { resolve, shared } = start({ filter: { dropLabels: ['pod'] } });
    for (const pod of ['a', 'a', 'b', 'b', 'c', 'c', 'd']) resolve(metric('up'), ['pod', pod]);
    // The same label set in two forms is one series.
    resolve(['pod', 'd'], metric('up'));
    resolve(metric('up'), ['pod', 'd']);
    resolve(['pod', 'd'], metric('up'));
    expect(shared).toEqual([]);
  });
});

describe('limits', () => {
  it.each([
    [[metric('up'), ['a', '1'], ['b', '1'], ['c', '1'], ['d', '1']], 'too_many_labels', '5 labels'],
    [[metric('up'), ['instance_', 'x']], 'label_name_too_long', '9 bytes, "instance_"'],
    [[metric('up'), ['a', '1234567']], 'label_value_too_long', '7 bytes of the label "a"'],
    [[metric('process')], 'label_value_too_long', 'label "__name__"'],
    [[metric('a.b')], 'name_scheme', 'the metric name "a.b"'],
    [[metric('up'), ['a:b', 'x']], 'name_scheme', 'the label name "a:b"'],
  ] as const)('refuse %j as %s', (pairs, reason, detail) => {
    const { table, resolve } = start({});
    expect(resolve(...pairs)).toBe(REFUSED);
    expect(table.lastRefusal.reason).toBe(reason);
    expect(table.lastRefusal.detail).toContain(detail);
    expect(table.lastRefusal.detail).toContain('limits.');
  });

  it('take any UTF-8 for a metric name under that scheme, and nothing else', () => {
    const bytes = labels(metric('°C'), ['a', '1']);
    const broken = bytes.map((byte) => (byte === Buffer.from('°')[0] ? 0xff : byte));
    const resolved = (nameScheme: 'utf8' | 'any', set: Uint8Array) => {
      const { table } = start({ limits: { labels: { ...LIMITS.labels, nameScheme } } });
      return table.resolve(table.tenant('t'), set, 0, set.length);
    };
    expect([resolved('utf8', bytes), resolved('utf8', broken)]).toEqual([0, REFUSED]);
    expect(resolved('any', broken)).toBe(0);
  });

  it('count labels without the empty ones, and let pass what fits exactly', () => {
    const { resolve } = start({});
    const three = [
      ['aaaaaaaa', '123456'],
      ['b', '1'],
      ['c', '1'],
    ] as const;
    expect(resolve(metric('a:b'), ...three, ['d', ''])).toBe(0);
  });

  it('are asked once for a series that they refuse, and say the same each time', () => {
    const config = { filter: NO_FILTER, limits: LIMITS };
    const rules = new SeriesRules(config, () => {});
    let asked = 0;
    const gate: SeriesGate = (one) => {
      asked++;
      return rules.gate(one);
    };
    const table = new SeriesTable({ seriesMax: 10, gate });
    const forms = [
      labels(metric('up'), ['a', '1234567']),
      labels(['a', '1234567'], metric('up')),
      labels(metric('a.b')),
    ];
    for (const form of [...forms, ...forms, ...forms]) {
      table.resolve(table.tenant('t'), labels(metric('up')), 0, labels(metric('up')).length);
      expect(table.resolve(table.tenant('t'), form, 0, form.length)).toBe(REFUSED);
      expect(table.lastRefusal.reason).toBe(
        form === forms[2] ? 'name_scheme' : 'label_value_too_long',
      );
    }
    expect(asked).toBe(3);
    const without = { ...LIMITS, labels: { ...LIMITS.labels, labelValueBytesMax: 0 } };
    rules.change({ ...config, limits: without });
    table.changeGate(gate, LIMITS.series);
    expect(table.resolve(table.tenant('t'), forms[1]!, 0, forms[1]!.length)).toBe(1);
  });

  it('judge what the filters have made of a series', () => {
    const { resolve } = start({ filter: { dropLabels: ['longname*'] } });
    expect(resolve(metric('up'), ['longname_too', 'a'])).toBe(0);
  });

  it('take a number of series per metric and per tenant, and go on with those known', () => {
    const series = { perTenantMax: 4, perMetricMax: 2 };
    const { table, resolve } = start({ limits: { series } });
    const of = (name: string, id: string) => resolve(metric(name), ['id', id]);
    expect([of('a', '1'), of('a', '2'), of('a', '3')]).toEqual([0, 1, REFUSED]);
    expect(table.lastRefusal.detail).toContain('max_series_per_metric');
    expect([of('b', '1'), of('c', '1'), of('d', '1')]).toEqual([2, 3, REFUSED]);
    expect(table.lastRefusal.detail).toContain('max_series_per_tenant');
    expect([of('a', '1'), of('c', '1')]).toEqual([0, 3]);
    const other = table.tenant('other');
    const bytes = labels(metric('d'));
    expect(table.resolve(other, bytes, 0, bytes.length)).toBe(4);
  });
});
