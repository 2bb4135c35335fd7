import type { IncomingMessage } from 'node:http';

export type Body =
  | { kind: 'body'; bytes: Buffer }
  | { kind: 'too_large'; bytesMax: number }
  | { kind: 'timed_out' }
  | { kind: 'aborted' };

/** A rest of a body that is small enough to be read and thrown away, to keep the connection. */
const REST_BYTES_MAX = 64 * 1024;

const refused = new WeakSet<IncomingMessage>();

export interface BodyLimits {
  bytesMax: number;
  timeoutMs: number;
  /** Between two parts of it; as `timeoutMs` where absent. */
  silenceMs?: number;
}

/**
 * Reads a request's body: at most `bytesMax` bytes within `timeoutMs` of this call, however slowly
 * they trickle, and without a silence of more than `silenceMs`. A declared length beyond the limit
 * is refused before a byte is read, a chunked body as soon as it exceeds the limit. `aborted`: the
 * client has gone, nobody reads an answer.
 */
export function readBody(
  request: IncomingMessage,
  { bytesMax, timeoutMs, silenceMs = timeoutMs }: BodyLimits,
): Promise<Body> {
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) {
    return Promise.resolve(refuse(request, { kind: 'too_large', bytesMax }));
  }
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const timeOut = () => settle(refuse(request, { kind: 'timed_out' }));
    const timer = setTimeout(timeOut, timeoutMs);
    const silence = setTimeout(timeOut, silenceMs);
    const onData = (chunk: Buffer) => {
      silence.refresh();
      bytes += chunk.byteLength;
      if (bytes > bytesMax) settle(refuse(request, { kind: 'too_large', bytesMax }));
      else chunks.push(chunk);
    };
    const onEnd = () => {
      const [first] = chunks;
      const whole =
        chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, bytes);
      settle({ kind: 'body', bytes: whole });
    };
    const onGone = () => settle({ kind: 'aborted' });
    const settle = (body: Body) => {
      clearTimeout(timer);
      clearTimeout(silence);
      request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      resolve(body);
    };
    request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
    if (request.destroyed && !request.complete) onGone();
  });
}

function refuse(request: IncomingMessage, body: Body): Body {
  request.pause();
  refused.add(request);
  return body;
}

/**
 * Whether the connection must end with the answer, because what is left of the request's body is
 * too much to be read for nothing.
 */
export function hasUnwantedRest(request: IncomingMessage): boolean {
  if (request.complete) return false;
  if (refused.has(request) || request.headers['transfer-encoding'] !== undefined) return true;
  return Number(request.headers['content-length'] ?? 0) > REST_BYTES_MAX;
}
