import { z } from 'zod';
import { list, writtenText } from '../base/settings.ts';
import { WrittenScalar } from '../base/written-scalar.ts';
import {
  ENTRY_FORM,
  type MetricsFile,
  parseEntry,
  parseGlob,
  readMetricsFile,
} from './metrics-list.ts';
import { type RelabelRule, relabelSection, toRelabelRules } from './relabel-config.ts';

/** What happens to the labels of a series before it is stored; plain data, sources of patterns. */
export interface FilterConfig {
  externalLabels: { name: string; value: string }[];
  relabelRules: RelabelRule[];
  /** Together with the file's; absent: every series is kept. */
  keepMetrics: string[];
  keepMetricsFile?: MetricsFile | undefined;
  dropMetrics: string[];
  dropMetricsFile?: MetricsFile | undefined;
  /** Names or globs. */
  dropLabels: string[];
}

/** Keys whose values are read as text, in Prometheus' manner. */
export const FILTER_KEYS = [
  'external_labels',
  'write_relabel_configs',
  'keep_metrics',
  'keep_metrics_file',
  'drop_metrics',
  'drop_metrics_file',
  'drop_labels',
] as const;

const entry = () =>
  writtenText(ENTRY_FORM, (text) => {
    const parsed = parseEntry(text);
    return parsed.kind === 'unreadable' ? parsed.message : undefined;
  });

const LABEL_GLOB_FORM = 'a label name or a name with * and ?, and not __name__';

const labelGlob = () =>
  writtenText(LABEL_GLOB_FORM, (text) => {
    const parsed = parseGlob(text);
    if (text === '') return '';
    if (parsed.kind === 'unreadable') return parsed.message;
    return parsed.kind === 'name' && text === '__name__' ? '' : undefined;
  });

const metricsFile = (folder: string) =>
  z
    .unknown()
    .transform((raw, context): MetricsFile => {
      const path = raw instanceof WrittenScalar ? raw.text : raw;
      const read = typeof path === 'string' && path !== '' && readMetricsFile(folder, path);
      if (read !== false && !('problem' in read)) return read;
      const reason = read === false ? '' : `; ${read.problem}`;
      context.addIssue({ code: 'custom', message: `the path of a list of metrics${reason}` });
      return z.NEVER;
    })
    .meta({ type: 'file', limits: 'one entry a line, at most 1MiB' });

const LABELS_FORM = 'a section of label names and texts';

/** By hand, because zod skips a key called `__proto__`. */
const externalLabels = () =>
  z
    .unknown()
    .transform((raw, context): FilterConfig['externalLabels'] => {
      const isSection = typeof raw === 'object' && raw !== null && !Array.isArray(raw);
      if (!isSection || raw instanceof WrittenScalar) {
        context.addIssue({ code: 'custom', message: LABELS_FORM });
        return z.NEVER;
      }
      return Object.entries(raw).flatMap(([name, written]) => {
        const value = written instanceof WrittenScalar ? written.text : written;
        const isName = name !== '' && name !== '__name__' && name.isWellFormed();
        const isLabel = isName && typeof value === 'string' && value.isWellFormed();
        if (isLabel) return value === '' ? [] : [{ name, value }];
        const message = isName ? 'text' : 'a label name other than __name__ and a text';
        context.addIssue({ code: 'custom', path: [name], message });
        return [];
      });
    })
    .meta({ type: 'section of label names and texts' });

/** The keys of an agent's file that say what happens to labels; `folder` is where paths start. */
export const filterKeys = (folder: string) => ({
  external_labels: externalLabels()
    .optional()
    .describe('Labels for every series that does not have them; the first thing that happens.'),
  write_relabel_configs: relabelSection
    .prefault([])
    .describe('Rules as in Prometheus, after the external labels.'),
  keep_metrics: list(entry(), { min: 0 })
    .prefault([])
    .describe(
      'After the rules: a series that no entry selects is dropped. Without an entry, here or in ' +
        'the file, all are kept.',
    ),
  keep_metrics_file: metricsFile(folder)
    .optional()
    .describe('More of them, `#` begins a comment line. Read again when it changes.'),
  drop_metrics: list(entry(), { min: 0 })
    .prefault([])
    .describe('After `keep_metrics`: a series that an entry selects is dropped.'),
  drop_metrics_file: metricsFile(folder).optional().describe('More of them, likewise.'),
  drop_labels: list(labelGlob(), { min: 0 })
    .prefault([])
    .describe('At the end: labels that are taken away. Series must not become the same by it.'),
});

const filterSection = z.object(filterKeys('.'));

export function toFilterConfig(file: z.infer<typeof filterSection>): FilterConfig {
  return {
    externalLabels: file.external_labels ?? [],
    relabelRules: toRelabelRules(file.write_relabel_configs),
    keepMetrics: file.keep_metrics,
    keepMetricsFile: file.keep_metrics_file,
    dropMetrics: file.drop_metrics,
    dropMetricsFile: file.drop_metrics_file,
    dropLabels: file.drop_labels,
  };
}
