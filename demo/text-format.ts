/** One line of a /metrics page. */
export interface Metric {
  name: string;
  labels: [name: string, value: string][];
  /** As printed: text holds no stale marker, so an ordinary number loses nothing. */
  value: number;
}

export type MetricsPage =
  | { kind: 'page'; metrics: Metric[] }
  | { kind: 'unreadable'; line: string };

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)$/;
const LABEL = /[ \t]*([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"[ \t]*(?:,|$)/y;

/**
 * Reads Prometheus' text format (version 0.0.4) as the agent and the hub print it: comments and
 * lines of a name, labels and a value; no timestamps. A line that cannot be read fails the page,
 * as it fails a scrape in Prometheus.
 */
export function parseTextFormat(text: string): MetricsPage {
  const metrics: Metric[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const metric = parseLine(line.trim());
    if (metric === undefined) return { kind: 'unreadable', line };
    metrics.push(metric);
  }
  return { kind: 'page', metrics };
}

function parseLine(line: string): Metric | undefined {
  const [, name, labelText = '', valueText = ''] = LINE.exec(line) ?? [];
  const labels = parseLabels(labelText);
  const value = parseValue(valueText);
  if (name === undefined || labels === undefined || value === undefined) return undefined;
  return { name, labels, value };
}

function parseLabels(text: string): [string, string][] | undefined {
  const labels: [string, string][] = [];
  for (let at = 0; at < text.length; at = LABEL.lastIndex) {
    LABEL.lastIndex = at;
    const [, name, quoted = ''] = LABEL.exec(text) ?? [];
    if (name === undefined) return undefined;
    const value = quoted.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped));
    labels.push([name, value]);
  }
  return labels;
}

function parseValue(text: string): number | undefined {
  if (/^[+-]?inf$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (/^nan$/i.test(text)) return Number.NaN;
  const value = Number(text);
  return text === '' || Number.isNaN(value) ? undefined : value;
}
