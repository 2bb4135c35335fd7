import {
  canonicalLabelSet,
  isCanonicalLabelSet,
  LABEL_SET_BYTES_MAX,
  type LabelSetRefusal,
} from '../proto/label-set.ts';
import type { GateVerdict, SeriesGate } from '../proto/series-lookup.ts';
import { createFilter, type Filter } from './filter/filter.ts';
import { labelRefusal } from './filter/label-limits.ts';
import { bytesOfLabels, labelsOfBytes } from './filter/label-text.ts';
import type { FilterConfig } from './filter-config.ts';
import type { LimitsConfig } from './limits-config.ts';

export interface SeriesRulesConfig {
  filter: FilterConfig;
  limits: LimitsConfig;
}

/** What the sender is told: its own labels, which are named as well, are none of it. */
const SPOILT: Record<LabelSetRefusal, string> = {
  no_labels: 'no labels',
  no_metric_name: 'labels without a metric name',
  duplicate_label: 'a label twice',
  invalid_name: 'a label name that is empty or no UTF-8',
  too_large: `labels of more than ${LABEL_SET_BYTES_MAX} bytes`,
  malformed: 'labels that are no protobuf',
};

/** Joins filter and limits into the gate of the series table: what is in force at present. */
export class SeriesRules {
  readonly #onDropped: (rule: string) => void;
  #filter: Filter;
  #limits: LimitsConfig;
  /** Of all rules there have been, by the numbers that the gate gives them. */
  readonly #names: string[] = [];

  /** @param onDropped a series that was not known has been dropped by the rule of that name */
  constructor({ filter, limits }: SeriesRulesConfig, onDropped: (rule: string) => void) {
    this.#filter = createFilter(filter);
    this.#limits = limits;
    this.#onDropped = onDropped;
  }

  /** The gate has asked these rules from then on. */
  change({ filter, limits }: SeriesRulesConfig): void {
    this.#filter = createFilter(filter);
    this.#limits = limits;
  }

  /** The name of a rule by its number in a verdict. */
  nameOf(rule: number): string {
    return this.#names[rule]!;
  }

  readonly gate: SeriesGate = (labels) => {
    if (this.#filter.isIdentity) return this.#limited(labels);
    const verdict = this.#filter.apply(labelsOfBytes(labels));
    if (verdict.kind === 'kept') return this.#limited(bytesOfLabels(verdict.labels));
    const { name } = this.#filter.rules[verdict.rule]!;
    this.#onDropped(name);
    return { kind: 'dropped', rule: this.#numberOf(name) };
  };

  #limited(labels: Uint8Array): GateVerdict {
    // A rule may have made something of it that is no series.
    const verdict = isCanonicalLabelSet(labels, 0, labels.length)
      ? undefined
      : canonicalLabelSet(labels);
    const refusal =
      verdict?.kind === 'refused'
        ? { ...verdict, detail: `${SPOILT[verdict.reason]}, which the rules of the agent make` }
        : labelRefusal(labels, this.#limits.labels);
    return refusal === undefined ? { kind: 'kept', labels } : { kind: 'refused', refusal };
  }

  #numberOf(name: string): number {
    const known = this.#names.indexOf(name);
    return known >= 0 ? known : this.#names.push(name) - 1;
  }
}
