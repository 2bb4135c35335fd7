import { type Metric, parseTextFormat } from './text-format.ts';

export type FetchedPage = { kind: 'page'; metrics: Metric[] } | { kind: 'failed'; message: string };

const TIMEOUT_MS = 5000;

/** Reads `/metrics` of the program at `url`. */
export async function fetchMetrics(url: string): Promise<FetchedPage> {
  try {
    const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    const text = await response.text();
    if (!response.ok) return failed(`${url}/metrics answers ${response.status}`);
    const page = parseTextFormat(text);
    return page.kind === 'page' ? page : failed(`${url}/metrics has the line ${page.line}`);
  } catch (error) {
    return failed(`${url}/metrics: ${error}`);
  }
}

function failed(message: string): FetchedPage {
  return { kind: 'failed', message };
}
