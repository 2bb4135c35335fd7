import { isUtf8 } from 'node:buffer';
import { forEachLabel } from '../../proto/label-set.ts';
import type { LimitRefusal, Refusal } from '../../proto/series-lookup.ts';

/** What Cortex refuses in labels; 0: no limit. */
export interface LabelLimits {
  labelNamesMax: number;
  /** In bytes, as all lengths. */
  labelNameBytesMax: number;
  labelValueBytesMax: number;
  /** `any`: not looked at. */
  nameScheme: 'legacy' | 'utf8' | 'any';
}

/** As Cortex' NameValidationScheme `legacy`: names that need no quotes in PromQL. */
const LEGACY_METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LEGACY_LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const SHOWN_CHARS_MAX = 200;

/** The first limit that labels in canonical form violate. The rules are Cortex' ValidateLabels. */
export function labelRefusal(labels: Uint8Array, limits: LabelLimits): Refusal | undefined {
  let count = 0;
  let refusal: Refusal | undefined;
  forEachLabel(labels, (name, value) => {
    count++;
    refusal ??= refusalOf(name, value, limits);
  });
  const { labelNamesMax } = limits;
  if (labelNamesMax > 0 && count > labelNamesMax) {
    return over('too_many_labels', `${count} labels`, 'max_label_names_per_series', labelNamesMax);
  }
  return refusal;
}

function refusalOf(
  name: Uint8Array,
  value: Uint8Array,
  { labelNameBytesMax, labelValueBytesMax, nameScheme }: LabelLimits,
): Refusal | undefined {
  if (labelNameBytesMax > 0 && name.length > labelNameBytesMax) {
    const what = `a label name of ${name.length} bytes, ${shown(name)}`;
    return over('label_name_too_long', what, 'max_label_name_length', labelNameBytesMax);
  }
  if (labelValueBytesMax > 0 && value.length > labelValueBytesMax) {
    const what = `a value of ${value.length} bytes of the label ${shown(name)}`;
    return over('label_value_too_long', what, 'max_label_value_length', labelValueBytesMax);
  }
  switch (nameScheme) {
    case 'any':
      return undefined;
    case 'utf8':
      return utf8Refusal(name, value);
    case 'legacy':
      return legacyRefusal(name, value);
  }
}

/** Label names are UTF-8 in all label sets there are. */
function utf8Refusal(name: Uint8Array, value: Uint8Array): Refusal | undefined {
  if (isUtf8(value) || latin1(name) !== '__name__') return undefined;
  return { reason: 'name_scheme', detail: `the metric name ${shown(value)}, which is no UTF-8` };
}

function legacyRefusal(name: Uint8Array, value: Uint8Array): Refusal | undefined {
  const text = latin1(name);
  const isMetricName = text === '__name__';
  const isLegacy = isMetricName
    ? LEGACY_METRIC_NAME.test(latin1(value))
    : LEGACY_LABEL_NAME.test(text);
  if (isLegacy) return undefined;
  const what = isMetricName ? `the metric name ${shown(value)}` : `the label name ${shown(name)}`;
  const detail = `${what}, which limits.name_validation_scheme: legacy does not allow`;
  return { reason: 'name_scheme', detail };
}

function over(reason: LimitRefusal, what: string, limit: string, max: number): Refusal {
  return { reason, detail: `${what}, over limits.${limit}: ${max}` };
}

/** One character per byte: enough to tell ASCII from the rest. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function shown(bytes: Uint8Array): string {
  return JSON.stringify(Buffer.from(bytes).toString('utf8').slice(0, SHOWN_CHARS_MAX));
}
