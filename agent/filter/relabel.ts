import { createHash } from 'node:crypto';
import { Pattern } from '../../base/pattern.ts';
import { bytesOfText, normalText } from '../../proto/byte-text.ts';
import type { RelabelRule } from '../relabel-config.ts';
import type { LabelBuilder } from './label-builder.ts';
import { lowercase, uppercase } from './letter-case.ts';
import { expand, parseTemplate } from './template.ts';

/** What one rule does to a series; `false`: the series is dropped. */
export type Relabelling = (labels: LabelBuilder) => boolean;

/** As Prometheus' model/relabel. */
export function relabelling(rule: RelabelRule): Relabelling {
  const { action, targetLabel } = rule;
  switch (action) {
    case 'replace':
      return replaceLabel(rule);
    case 'labelmap':
      return mapLabels(rule);
    case 'keep':
    case 'drop': {
      const pattern = Pattern.of(rule.regex);
      return (labels) => pattern.test(sourceOf(rule, labels)) === (action === 'keep');
    }
    case 'keepequal':
    case 'dropequal':
      return (labels) =>
        (sourceOf(rule, labels) === labels.get(targetLabel)) === (action === 'keepequal');
    case 'labelkeep':
    case 'labeldrop': {
      const pattern = Pattern.of(rule.regex);
      return always((labels) => {
        for (const { name } of labels.list()) {
          if (pattern.test(name) === (action === 'labeldrop')) labels.delete(name);
        }
      });
    }
    case 'lowercase':
      return always((labels) => labels.set(targetLabel, lowercase(sourceOf(rule, labels))));
    case 'uppercase':
      return always((labels) => labels.set(targetLabel, uppercase(sourceOf(rule, labels))));
    case 'hashmod':
      return always((labels) => labels.set(targetLabel, hashOf(sourceOf(rule, labels), rule)));
  }
}

function always(change: (labels: LabelBuilder) => void): Relabelling {
  return (labels) => {
    change(labels);
    return true;
  };
}

function sourceOf({ sourceLabels, separator }: RelabelRule, labels: LabelBuilder): string {
  const [only] = sourceLabels;
  if (only !== undefined && sourceLabels.length === 1) return labels.get(only);
  return normalText(sourceLabels.map((name) => labels.get(name)).join(separator));
}

function replaceLabel(rule: RelabelRule): Relabelling {
  const pattern = Pattern.of(rule.regex);
  const target = parseTemplate(rule.targetLabel, pattern);
  const replacement = parseTemplate(rule.replacement, pattern);
  return always((labels) => {
    const captures = pattern.match(sourceOf(rule, labels));
    if (captures === undefined) return;
    const name = expand(target, captures);
    // What is no UTF-8 is no name.
    if (name === '' || !name.isWellFormed()) return;
    labels.set(name, expand(replacement, captures));
  });
}

/** The new name is taken as it comes, as in Prometheus, which looks at the template only. */
function mapLabels({ regex, replacement }: RelabelRule): Relabelling {
  const pattern = Pattern.of(regex);
  const template = parseTemplate(replacement, pattern);
  return always((labels) => {
    for (const { name, value } of labels.list()) {
      const captures = pattern.match(name);
      if (captures !== undefined) labels.set(expand(template, captures), value);
    }
  });
}

/** The last half of the MD5, as big-endian number. */
function hashOf(source: string, { modulus }: RelabelRule): string {
  const digest = createHash('md5').update(bytesOfText(source)).digest();
  return String(digest.readBigUInt64BE(8) % modulus);
}
