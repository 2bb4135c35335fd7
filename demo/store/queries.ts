import { parseDuration } from '../../base/units.ts';
import { parseSelector } from './selector.ts';
import type { Row, Store } from './store.ts';

export interface Question {
  store: Store;
  tenant: string;
  params: URLSearchParams;
  nowMs: number;
}

/** The `data` of Prometheus' JSON, or what is wrong with the question. */
export type Answer = { kind: 'data'; data: unknown } | { kind: 'bad_data'; message: string };
type Point = [seconds: number, value: string];

/** A series shows its newest sample for this long, as in Prometheus. */
const LOOKBACK_MS = 5 * 60_000;
/** Prometheus' limit for one series, and ours for a whole answer. */
const STEPS_MAX = 11_000;
const POINTS_MAX = 2_000_000;

/** `/api/v1/query`. */
export function queryInstant(question: Question): Answer {
  const { params, nowMs } = question;
  const time = params.has('time') ? parseTime(params.get('time')) : nowMs;
  // Grafana's "Save & test" asks for this sum, and calls a data source broken without it.
  if (params.get('query') === '1+1') return toData('scalar', [time / 1000, '2']);
  const result = evaluate(question, time, time, 1);
  if (typeof result === 'string') return badData(result);
  return toData(
    'vector',
    result.map(({ metric, values: [value] }) => ({ metric, value })),
  );
}

/** `/api/v1/query_range`. */
export function queryRange(question: Question): Answer {
  const { params } = question;
  const step = params.get('step') ?? '';
  const stepMs = parseDuration(step) ?? Number(step) * 1000;
  const [start, end] = [parseTime(params.get('start')), parseTime(params.get('end'))];
  const result = evaluate(question, start, end, stepMs);
  return typeof result === 'string' ? badData(result) : toData('matrix', result);
}

/** All label names, or all values of the label `name`, of the series that `match[]` selects. */
export function queryLabels({ store, tenant, params }: Question, name?: string): Answer {
  const selectors = params.getAll('match[]').map(parseSelector);
  if (selectors.length === 0) selectors.push({ kind: 'selector', matchers: [] });
  const found = new Set<string>();
  for (const selector of selectors) {
    if (selector.kind === 'unreadable') return badData(selector.message);
    for (const { labels } of store.select(tenant, selector.matchers)) {
      const texts = name === undefined ? labels.keys() : [labels.get(name) ?? ''];
      for (const text of texts) found.add(text);
    }
  }
  found.delete('');
  return { kind: 'data', data: [...found].sort() };
}

/** Every series with its points at each step, or what is wrong. */
function evaluate({ store, tenant, params }: Question, start: number, end: number, stepMs: number) {
  const selector = parseSelector(params.get('query') ?? '');
  if (selector.kind === 'unreadable') return selector.message;
  const steps = Math.floor((end - start) / stepMs) + 1;
  if (!(steps >= 1 && stepMs >= 1)) return 'cannot read time, or start, end and step';
  const selected = store.select(tenant, selector.matchers);
  if (steps > STEPS_MAX || steps * selected.length > POINTS_MAX)
    return 'too many points: larger step';
  return selected.flatMap(({ id, labels }) => {
    const rows = store.samples(id, start - LOOKBACK_MS, end);
    const values: Point[] = [];
    for (let step = 0, next = 0; step < steps; step++) {
      const time = start + step * stepMs;
      while (next < rows.length && rows[next]![0] <= time) next++;
      const row = rows[next - 1];
      const ended = row === undefined || row[0] <= time - LOOKBACK_MS || isStaleMarker(row);
      if (!ended) values.push([time / 1000, formatValue(row)]);
    }
    return values.length === 0 ? [] : [{ metric: Object.fromEntries(labels), values }];
  });
}

function isStaleMarker([, low, high]: Row): boolean {
  return high === 0x7ff00000 && low === 2;
}

function formatValue([, low, high]: Row): string {
  const [value = 0] = new Float64Array(new Int32Array([low, high]).buffer);
  if (Object.is(value, -0)) return '-0';
  return String(value).replace(/^(-?)Infinity$/, (_, sign: string) => `${sign || '+'}Inf`);
}

/** Milliseconds of Unix seconds or of an RFC 3339 time; NaN of anything else. */
function parseTime(text: string | null): number {
  return Math.round(/^-?[\d.]+$/.test(text ?? '') ? Number(text) * 1000 : Date.parse(text ?? ''));
}

function toData(resultType: string, result: unknown): Answer {
  return { kind: 'data', data: { resultType, result } };
}

function badData(message: string): Answer {
  return { kind: 'bad_data', message };
}
