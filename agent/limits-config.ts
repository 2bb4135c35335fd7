import type { z } from 'zod';
import { choice, count, duration, section } from '../base/settings.ts';
import type { LabelLimits } from './filter/label-limits.ts';
import type { SeriesLimits } from './series/series-counts.ts';

/** What is refused at the edge because Cortex would refuse it. */
export interface LimitsConfig {
  labels: LabelLimits;
  series: SeriesLimits;
  /** How far in the future a sample may be, by the later of two clocks; 0: not limited. */
  aheadMaxMs: number;
  /** Characters of the labels of an exemplar; 0: exemplars are not judged. */
  exemplarLabelLengthMax: number;
}

const NO_LIMITS: LimitsConfig = {
  labels: { labelNamesMax: 0, labelNameBytesMax: 0, labelValueBytesMax: 0, nameScheme: 'any' },
  series: { perTenantMax: 0, perMetricMax: 0 },
  aheadMaxMs: 0,
  exemplarLabelLengthMax: 0,
};

const limit = (defaultValue: number) =>
  count({ min: 0, max: 1_000_000_000 }).prefault(String(defaultValue));

/** Names and defaults as in Cortex, where it has them. */
export const limitsSection = section({
  max_label_names_per_series: limit(30).describe(
    'Labels of a series, its metric name included; 0: no limit.',
  ),
  max_label_name_length: limit(1024).describe('Bytes of a label name; 0: no limit.'),
  max_label_value_length: limit(2048).describe(
    'Bytes of a label value, and so of a metric name; 0: no limit.',
  ),
  name_validation_scheme: choice(['legacy', 'utf8'])
    .prefault('legacy')
    .describe('`utf8` where the destination takes names that need quotes in PromQL.'),
  creation_grace_period: duration()
    .prefault('10m')
    .describe(
      "How far in the future a sample may be, by the later of the agent's clock and the hub's; 0: " +
        'not limited. Nothing is refused for it before the hub was heard.',
    ),
  max_exemplar_label_length: limit(128).describe(
    'Characters of the labels of an exemplar, names and values together. Longer exemplars, and ' +
      'those without labels or timestamp, are left out and counted; 0: all are stored.',
  ),
  max_series_per_tenant: limit(5_000_000).describe(
    'Series of a tenant that this agent keeps in its dictionary; 0: no limit but buffer.max_series.',
  ),
  max_series_per_metric: limit(50_000).describe(
    'The same of each metric of a tenant; 0: no limit.',
  ),
});

export const validationSetting = choice(['on', 'off'])
  .prefault('on')
  .describe(
    'What Cortex would refuse is refused here, before it crosses the border: the sender is ' +
      'answered 400 with the series and the limit, the rest of its request is stored. `off`: ' +
      'nothing of `limits` is checked.',
  );

export function toLimitsConfig(
  validation: 'on' | 'off',
  limits: z.infer<typeof limitsSection>,
): LimitsConfig {
  if (validation === 'off') return NO_LIMITS;
  return {
    labels: {
      labelNamesMax: limits.max_label_names_per_series,
      labelNameBytesMax: limits.max_label_name_length,
      labelValueBytesMax: limits.max_label_value_length,
      nameScheme: limits.name_validation_scheme,
    },
    series: {
      perTenantMax: limits.max_series_per_tenant,
      perMetricMax: limits.max_series_per_metric,
    },
    aheadMaxMs: limits.creation_grace_period,
    exemplarLabelLengthMax: limits.max_exemplar_label_length,
  };
}
