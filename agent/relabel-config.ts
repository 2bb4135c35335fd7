import { z } from 'zod';
import { Pattern } from '../base/pattern.ts';
import { list, section, unwritten, writtenText } from '../base/settings.ts';
import { WrittenScalar } from '../base/written-scalar.ts';

export const RELABEL_ACTIONS = [
  'replace',
  'keep',
  'drop',
  'keepequal',
  'dropequal',
  'hashmod',
  'labelmap',
  'labeldrop',
  'labelkeep',
  'lowercase',
  'uppercase',
] as const;
export type RelabelAction = (typeof RELABEL_ACTIONS)[number];

/** One entry of `write_relabel_configs`, its defaults filled in. */
export interface RelabelRule {
  action: RelabelAction;
  sourceLabels: string[];
  separator: string;
  /** Source of a pattern that base/pattern.ts can read. */
  regex: string;
  modulus: bigint;
  targetLabel: string;
  replacement: string;
}

const DEFAULTS = { separator: ';', regex: '(.*)', replacement: '$1' } as const;

const anyText = (form: string) => writtenText(form, () => undefined);

export const labelName = () =>
  writtenText('a label name, which is not empty', (name) => (name === '' ? '' : undefined));

const pattern = () =>
  writtenText('a regular expression in RE2 syntax', (source) => {
    const parsed = Pattern.parse(source);
    return parsed.kind === 'pattern' ? undefined : parsed.message;
  });

const isAction = (name: string): name is RelabelAction =>
  RELABEL_ACTIONS.some((action) => action === name);

const ACTION_FORM = `one of ${RELABEL_ACTIONS.join(', ')}`;

const action = () =>
  writtenText(ACTION_FORM, (name) => (isAction(name.toLowerCase()) ? undefined : ''))
    .transform((name) => name.toLowerCase() as RelabelAction)
    .meta({ type: ACTION_FORM, limits: '' });

const MODULUS_FORM = 'a whole number without quotes, 1 to 18446744073709551615';
const MODULUS_MAX = 2n ** 64n - 1n;
/** YAML 1.1, in which a leading zero means octal digits. */
const NUMBER = /^\+?(?:(0x[\da-fA-F]+)|(0b[01]+)|0o?([0-7]+)|(0|[1-9]\d*))$/;

function readModulus(raw: unknown): bigint | undefined {
  if (!(raw instanceof WrittenScalar) || !raw.isPlain) return undefined;
  if (raw.value === null) return 0n;
  const [, hex, binary, octal, decimal] = NUMBER.exec(raw.text.replaceAll('_', '')) ?? [];
  const digits = hex ?? binary ?? (octal === undefined ? decimal : `0o${octal}`);
  const modulus = digits === undefined ? undefined : BigInt(digits);
  return modulus !== undefined && modulus <= MODULUS_MAX ? modulus : undefined;
}

const modulus = () =>
  z
    .unknown()
    .transform((raw, context): bigint => {
      const value = readModulus(raw);
      if (value !== undefined) return value;
      context.addIssue({ code: 'custom', message: MODULUS_FORM });
      return z.NEVER;
    })
    .meta({ type: 'number', limits: MODULUS_FORM });

const ruleSection = section({
  action: action().prefault('replace').describe('In capitals or not.'),
  source_labels: unwritten(list(labelName(), { min: 0 }).optional())
    .optional()
    .describe('Labels whose values are joined; one that a series has not is empty.'),
  separator: anyText('any text').prefault(DEFAULTS.separator).describe('What joins them.'),
  regex: pattern()
    .optional()
    .describe('Has to match the joined values, or names, as a whole. Absent: `(.*)`.'),
  modulus: modulus().optional().describe('Of `hashmod`.'),
  target_label: anyText('a label name')
    .optional()
    .describe('The label that is set or compared; with `replace` it may contain groups.'),
  replacement: anyText('any text')
    .prefault(DEFAULTS.replacement)
    .describe(
      'What it is set to; `$1` and `$name`, in braces or not, are groups of the regex, `$$` is a ' +
        'dollar.',
    ),
}).superRefine((rule, context) => {
  for (const [key, message] of problemsOf(rule)) {
    context.addIssue({ code: 'custom', path: [key], message });
  }
});

interface RuleFields {
  action: RelabelAction;
  source_labels?: unknown;
  separator: string;
  regex?: string | undefined;
  modulus?: bigint | undefined;
  target_label?: string | undefined;
  replacement: string;
}
type RuleKey = keyof RuleFields;

/** Keys that may not be set with an action; to their defaults they may, except for a regex. */
const FORBIDDEN: Partial<Record<RelabelAction, readonly RuleKey[]>> = {
  keepequal: ['regex', 'modulus', 'separator', 'replacement'],
  dropequal: ['regex', 'modulus', 'separator', 'replacement'],
  labelmap: ['source_labels', 'target_label', 'modulus', 'separator'],
  labeldrop: ['source_labels', 'target_label', 'modulus', 'separator', 'replacement'],
  labelkeep: ['source_labels', 'target_label', 'modulus', 'separator', 'replacement'],
  lowercase: ['replacement'],
  uppercase: ['replacement'],
};
const NEED_TARGET: readonly RelabelAction[] = [
  'replace',
  'hashmod',
  'lowercase',
  'uppercase',
  'keepequal',
  'dropequal',
];

/** What Prometheus' Config.Validate looks at, in its order. */
function problemsOf(rule: RuleFields): [RuleKey, string][] {
  const { action, modulus, target_label: target, replacement } = rule;
  const problems: [RuleKey, string][] = [];
  if (action === 'hashmod' && (modulus ?? 0n) === 0n) problems.push(['modulus', MODULUS_FORM]);
  if (NEED_TARGET.includes(action) && (target ?? '') === '') {
    problems.push(['target_label', `a label name, which ${action} needs`]);
  }
  if (action === 'labelmap' && replacement === '') {
    problems.push(['replacement', 'the new label name, which labelmap needs']);
  }
  for (const key of FORBIDDEN[action] ?? []) {
    if (isSet(rule, key)) problems.push([key, `nothing: ${action} takes no ${key}`]);
  }
  return problems;
}

function isSet(rule: RuleFields, key: RuleKey): boolean {
  const value = rule[key];
  if (key === 'separator' || key === 'replacement') return value !== DEFAULTS[key];
  return value !== undefined && value !== '' && value !== 0n;
}

export const relabelSection = list(unwritten(ruleSection), { min: 0 });

export function toRelabelRules(section: z.infer<typeof relabelSection>): RelabelRule[] {
  return section.map((rule) => ({
    action: rule.action,
    sourceLabels: rule.source_labels ?? [],
    separator: rule.separator,
    regex: rule.regex ?? DEFAULTS.regex,
    modulus: rule.modulus ?? 0n,
    targetLabel: rule.target_label ?? '',
    replacement: rule.replacement,
  }));
}
