import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { sendEmpty, sendText } from '../../base/http-server.ts';
import { formatRetryAfter } from '../../base/retry-after.ts';
import { DecodeError } from '../../proto/bytes.ts';
import { FrameError } from '../../proto/zstd.ts';
import type { Media } from './headers.ts';

/** What of a request was stored. */
export interface Received {
  /** Floats and native histograms. */
  samples: number;
  /** Those of them that are native histograms. */
  histograms: number;
  exemplars: number;
}

export interface Answer {
  status: number;
  text?: string;
  headers?: OutgoingHttpHeaders;
  /** Absent: nothing. */
  written?: Received;
}

const OVERLOADED_RETRY_AFTER_MS = 1000;
const NOTHING: Received = { samples: 0, histograms: 0, exemplars: 0 };

export const methodNotAllowed: Answer = {
  status: 405,
  text: 'Method not allowed',
  headers: { Allow: 'POST' },
};

/** Sends the answer to a request whose headers said what `media` is. */
export function sendAnswer(response: ServerResponse, answer: Answer, media: Media): void {
  const { status, text, written = NOTHING } = answer;
  const isVersion2 = media.kind === 'message' && media.version === 2;
  const headers = { ...answer.headers, ...(isVersion2 ? writtenHeaders(written) : {}) };
  if (text === undefined) sendEmpty(response, status, headers);
  else sendText(response, status, `${text}\n`, headers);
}

/** Without them Prometheus takes a 2xx for that of a receiver that knows 1.0 only, and drops. */
function writtenHeaders({ samples, histograms, exemplars }: Received): OutgoingHttpHeaders {
  return {
    'X-Prometheus-Remote-Write-Samples-Written': samples - histograms,
    'X-Prometheus-Remote-Write-Histograms-Written': histograms,
    'X-Prometheus-Remote-Write-Exemplars-Written': exemplars,
  };
}

/** @throws what is no error of the body */
export function malformed(error: unknown): Answer {
  if (!(error instanceof DecodeError || error instanceof FrameError)) throw error;
  return { status: 400, text: `nothing stored: ${error.message}` };
}

export function tooMuchDecoded(bytesMax: number): Answer {
  return { status: 400, text: `decoded size exceeds the ${bytesMax} bytes limit` };
}

export function overloaded(): Answer {
  return unavailable('too much is waiting to be stored', OVERLOADED_RETRY_AFTER_MS);
}

/** Not 408: Prometheus drops what is answered with a 4xx, and the network was to blame. */
export function tooSlow(): Answer {
  return unavailable('the request body did not arrive in time', OVERLOADED_RETRY_AFTER_MS);
}

/** 503 and never 429: a default Prometheus keeps its samples on the former only. */
export function unavailable(text: string, retryAfterMs: number): Answer {
  return { status: 503, text, headers: { 'Retry-After': formatRetryAfter(retryAfterMs) } };
}
