import type { FilterConfig } from '../filter-config.ts';
import { type FilterLabel, LabelBuilder } from './label-builder.ts';
import {
  dropLabels,
  dropMetrics,
  externalLabels,
  type FilterRule,
  keepMetrics,
  relabelRules,
  type Stage,
} from './stages.ts';

export type { FilterLabel, FilterRule };

export type FilterVerdict =
  /** Sorted by the bytes of the names, no empty value. */
  | { kind: 'kept'; labels: FilterLabel[] }
  /** `rule`: index in the filter's rules. */
  | { kind: 'dropped'; rule: number };

/** What one rule did, for people. */
export interface FilterStep {
  rule: string;
  action: string;
  result: string;
}

export interface Filter {
  /** In the order in which they run, relabelling rules that can drop nothing among them. */
  readonly rules: readonly FilterRule[];
  /** Nothing is configured: every label set passes as it is. */
  readonly isIdentity: boolean;
  apply(labels: readonly FilterLabel[], explain?: (step: FilterStep) => void): FilterVerdict;
}

/**
 * Filters series by their labels, in this order: external labels are added where a series has none
 * of that name, the relabelling rules run as in Prometheus, `keep_metrics` and `drop_metrics` select
 * series, `drop_labels` takes labels away. A series without any label cannot be sent and is dropped
 * by a rule of its own, `no_labels`.
 */
export function createFilter(config: FilterConfig): Filter {
  const stages = [
    ...externalLabels(config),
    ...relabelRules(config),
    ...keepMetrics(config),
    ...dropMetrics(config),
    ...dropLabels(config),
  ];
  const rules = [...stages.flatMap((stage) => stage.rules), { name: 'no_labels' }];
  return {
    rules,
    isIdentity: stages.length === 0,
    apply: (labels, explain) => applyStages(stages, labels, explain),
  };
}

function applyStages(
  stages: readonly Stage[],
  labels: readonly FilterLabel[],
  explain: ((step: FilterStep) => void) | undefined,
): FilterVerdict {
  const builder = new LabelBuilder(labels);
  let firstRule = 0;
  for (const stage of stages) {
    const before = explain === undefined ? [] : builder.sorted();
    const dropping = stage.run(builder);
    if (explain !== undefined) explain(stepOf(stage, dropping, before, builder));
    if (dropping !== undefined) return { kind: 'dropped', rule: firstRule + dropping };
    firstRule += stage.rules.length;
  }
  const kept = builder.sorted();
  if (kept.length > 0) return { kind: 'kept', labels: kept };
  explain?.({ rule: 'no_labels', action: 'drop', result: 'dropped: no label is left' });
  return { kind: 'dropped', rule: firstRule };
}

function stepOf(
  { rule, action, rules }: Stage,
  dropping: number | undefined,
  before: readonly FilterLabel[],
  after: LabelBuilder,
): FilterStep {
  if (dropping !== undefined) {
    const by = rules[dropping]?.name ?? rule;
    return { rule, action, result: by === rule ? 'dropped' : `dropped by ${by}` };
  }
  const old = new Map(before.map(({ name, value }) => [name, value]));
  const changes = after
    .sorted()
    .filter(({ name, value }) => old.get(name) !== value)
    .map(({ name, value }) => `${name}=${JSON.stringify(value)}`);
  const removed = before.filter(({ name }) => after.get(name) === '');
  changes.push(...removed.map(({ name }) => `${name} removed`));
  return { rule, action, result: changes.length === 0 ? 'unchanged' : changes.join(', ') };
}
