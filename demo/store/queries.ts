import { parseDuration } from '../../base/units.ts';
import { matchesNoLabels, parseSelector, type Selector } from '../../proto/selector.ts';
import type { Sample } from '../write-request.ts';
import type { Store } from './store.ts';

export interface Question {
  store: Store;
  tenant: string;
  params: URLSearchParams;
  nowMs: number;
}

/** Prometheus' JSON. */
export type Answer =
  | { status: 'success'; data: unknown }
  | { status: 'error'; errorType: 'bad_data'; error: string };

/** A series shows its newest sample for this long, as in Prometheus. */
const LOOKBACK_MS = 5 * 60_000;
/** Prometheus' limit for one series, and ours for a whole answer. */
const STEPS_MAX = 11_000;
const POINTS_MAX = 2_000_000;

/** `/api/v1/query`, a range of a single step, and `/api/v1/query_range`. */
export function queryPoints(question: Question, shape: 'vector' | 'matrix'): Answer {
  const { store, tenant, params, nowMs } = question;
  const { start, end, stepMs } = shape === 'vector' ? instant(params, nowMs) : range(params);
  const query = params.get('query') ?? '';
  // Grafana's "Save & test" asks for this sum, and calls a data source broken without it.
  if (query === '1+1') return success({ resultType: 'scalar', result: [end / 1000, '2'] });
  const selector = readSelector(query);
  if (selector.kind === 'unreadable') return badData(selector.message);
  const steps = Math.floor((end - start) / stepMs) + 1;
  if (!(steps >= 1 && stepMs >= 1)) return badData('cannot read time, or start, end and step');
  const selected = store.select(tenant, selector.matchers);
  const bounded = steps <= STEPS_MAX && steps * selected.length <= POINTS_MAX;
  if (!bounded) return badData('too many points, try a larger step');
  const result = selected.flatMap(({ id, labels }) => {
    const values = points(store.samples(id, start - LOOKBACK_MS, end), { start, steps, stepMs });
    const shown = shape === 'vector' ? { value: values[0] } : { values };
    return values.length === 0 ? [] : [{ metric: Object.fromEntries(labels), ...shown }];
  });
  return success({ resultType: shape, result });
}

/** All label names, or all values of the label `name`, of the series that `match[]` selects. */
export function queryLabels({ store, tenant, params }: Question, name?: string): Answer {
  const selectors = params.getAll('match[]').map(readSelector);
  const everything: Selector = { kind: 'selector', matchers: [] };
  const found = new Set<string>();
  for (const selector of selectors.length === 0 ? [everything] : selectors) {
    if (selector.kind === 'unreadable') return badData(selector.message);
    for (const { labels } of store.select(tenant, selector.matchers)) {
      const texts = name === undefined ? labels.keys() : [labels.get(name) ?? ''];
      for (const text of texts) found.add(text);
    }
  }
  found.delete('');
  return success([...found].sort());
}

function readSelector(text: string): Selector {
  const selector = parseSelector(text);
  if (selector.kind === 'unreadable' || !matchesNoLabels(selector.matchers)) return selector;
  return { kind: 'unreadable', message: 'at least one matcher must refuse the empty value' };
}

/** What a series shows at each step, as [seconds, value] where it shows anything. */
function points(rows: Sample[], range: { start: number; steps: number; stepMs: number }) {
  const values: [number, string][] = [];
  for (let step = 0, next = 0; step < range.steps; step++) {
    const time = range.start + step * range.stepMs;
    while (next < rows.length && rows[next]![0] <= time) next++;
    const row = rows[next - 1];
    const isFresh = row !== undefined && row[0] > time - LOOKBACK_MS;
    if (isFresh && !isStaleMarker(row)) values.push([time / 1000, formatValue(row)]);
  }
  return values;
}

function isStaleMarker([, low, high]: Sample): boolean {
  return high === 0x7ff00000 && low === 2;
}

function formatValue([, low, high]: Sample): string {
  const [value = 0] = new Float64Array(new Int32Array([low, high]).buffer);
  if (Object.is(value, -0)) return '-0';
  return String(value).replace(/^(-?)Infinity$/, (_, sign: string) => `${sign || '+'}Inf`);
}

function instant(params: URLSearchParams, nowMs: number) {
  const time = params.has('time') ? parseTime(params.get('time')) : nowMs;
  return { start: time, end: time, stepMs: 1 };
}

function range(params: URLSearchParams) {
  const step = params.get('step') ?? '';
  const stepMs = parseDuration(step) ?? Number(step) * 1000;
  return { start: parseTime(params.get('start')), end: parseTime(params.get('end')), stepMs };
}

/** Milliseconds of Unix seconds or of an RFC 3339 time; NaN of anything else. */
function parseTime(text: string | null): number {
  return Math.round(/^-?[\d.]+$/.test(text ?? '') ? Number(text) * 1000 : Date.parse(text ?? ''));
}

function success(data: unknown): Answer {
  return { status: 'success', data };
}

function badData(error: string): Answer {
  return { status: 'error', errorType: 'bad_data', error };
}
