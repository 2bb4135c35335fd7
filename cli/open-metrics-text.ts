import { isUtf8 } from 'node:buffer';
import { forEachLabel } from '../proto/label-set.ts';

// OpenMetrics text, as `promtool tsdb create-blocks-from openmetrics` takes it:
//
//   name{label="value",...} value seconds
//   # EOF

const STALE_HIGH = 0x7ff00000;
const STALE_LOW = 2;
const NAN_HIGH = 0x7ff80000;
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

const view = new DataView(new ArrayBuffer(8));

export type Value = { kind: 'stale' } | { kind: 'number'; number: number; hasPayload: boolean };

/** A value by its bits; `hasPayload`: a NaN that is not the one that text stands for. */
export function readValue(low: number, high: number): Value {
  if (high === STALE_HIGH && low === STALE_LOW) return { kind: 'stale' };
  view.setUint32(0, high);
  view.setUint32(4, low);
  const number = view.getFloat64(0);
  // Prometheus' own NaN has a one in its lowest bit.
  const isPlain = high === NAN_HIGH && low <= 1;
  return { kind: 'number', number, hasPayload: Number.isNaN(number) && !isPlain };
}

/** The shortest text that reads back as the same double. */
export function valueText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return Object.is(value, -0) ? '-0' : String(value);
}

/**
 * Seconds. Prometheus multiplies by 1000 and cuts off what is behind the point: where the product
 * would fall short of the millisecond, a fraction of a microsecond is added.
 */
export function timestampText(ms: number): string {
  const whole = Math.abs(ms);
  const text = `${ms < 0 ? '-' : ''}${Math.floor(whole / 1000)}.${String(whole % 1000).padStart(3, '0')}`;
  return Math.trunc(Number(text) * 1000) === ms ? text : `${text}0001`;
}

/** A label set; undefined when the text cannot hold it. */
export function seriesText(labels: Uint8Array): string | undefined {
  let name: string | undefined;
  let isWritable = true;
  const parts: string[] = [];
  forEachLabel(labels, (nameBytes, valueBytes) => {
    const [label, value] = [text(nameBytes), text(valueBytes)];
    if (label === '__name__') name = value;
    else if (!LABEL_NAME.test(label)) isWritable = false;
    else parts.push(`${label}="${escaped(value)}"`);
    isWritable &&= isUtf8(valueBytes);
  });
  if (!isWritable || name === undefined || !METRIC_NAME.test(name)) return undefined;
  return parts.length === 0 ? name : `${name}{${parts.join(',')}}`;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
