import type { FilterConfig } from '../filter-config.ts';
import { parseGlob } from '../metrics-list.ts';
import type { LabelBuilder } from './label-builder.ts';
import { MetricsSelection } from './metrics-selection.ts';
import { relabelling } from './relabel.ts';

/** What a dropped series is counted under. */
export interface FilterRule {
  /** For metrics: `write_relabel_configs[2]`, `drop_metrics[0]`, `drop_metrics_file: go_*`. */
  name: string;
}

/** One step of the way that each series takes. */
export interface Stage {
  rule: string;
  action: string;
  /** Those of this stage that can drop a series. */
  rules: readonly FilterRule[];
  /** Changes the labels; the index in `rules` of the one that drops the series, or undefined. */
  run(labels: LabelBuilder): number | undefined;
}

export function externalLabels({ externalLabels: external }: FilterConfig): Stage[] {
  if (external.length === 0) return [];
  const run: Stage['run'] = (labels) => {
    for (const { name, value } of external) {
      if (labels.get(name) === '') labels.set(name, value);
    }
    return undefined;
  };
  return [{ rule: 'external_labels', action: 'add', rules: [], run }];
}

export function relabelRules(config: FilterConfig): Stage[] {
  return config.relabelRules.map((relabelRule, index) => {
    const rule = `write_relabel_configs[${index}]`;
    const relabel = relabelling(relabelRule);
    const run: Stage['run'] = (labels) => (relabel(labels) ? undefined : 0);
    return { rule, action: relabelRule.action, rules: [{ name: rule }], run };
  });
}

export function keepMetrics({ keepMetrics: inline, keepMetricsFile }: FilterConfig): Stage[] {
  const entries = [...inline, ...(keepMetricsFile?.entries ?? [])];
  if (entries.length === 0) return [];
  const selection = new MetricsSelection(entries);
  const run: Stage['run'] = (labels) => (selection.find(labels) === undefined ? 0 : undefined);
  return [{ rule: 'keep_metrics', action: 'keep', rules: [{ name: 'keep_metrics' }], run }];
}

export function dropMetrics({ dropMetrics: inline, dropMetricsFile }: FilterConfig): Stage[] {
  const listed = dropMetricsFile?.entries ?? [];
  if (inline.length + listed.length === 0) return [];
  const selection = new MetricsSelection([...inline, ...listed]);
  const rules = [
    ...inline.map((_, index) => ({ name: `drop_metrics[${index}]` })),
    ...listed.map((entry) => ({ name: `drop_metrics_file: ${entry}` })),
  ];
  const run: Stage['run'] = (labels) => selection.find(labels);
  return [{ rule: 'drop_metrics', action: 'drop', rules, run }];
}

export function dropLabels({ dropLabels: globs }: FilterConfig): Stage[] {
  if (globs.length === 0) return [];
  const tests = globs.map(labelTest);
  const run: Stage['run'] = (labels) => {
    for (const { name } of labels.list()) {
      if (name !== '__name__' && tests.some((test) => test(name))) labels.delete(name);
    }
    return undefined;
  };
  return [{ rule: 'drop_labels', action: 'remove', rules: [], run }];
}

function labelTest(text: string): (name: string) => boolean {
  const glob = parseGlob(text);
  if (glob.kind !== 'glob') return (name) => name === text;
  const { pattern } = glob;
  return (name) => pattern.test(name);
}
