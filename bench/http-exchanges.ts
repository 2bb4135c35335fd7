import type { RecordedConnection } from './link-recorder.ts';

/** One HTTP/1.1 message as it stood on the wire. */
export interface HttpMessage {
  /** `POST /v1/batch HTTP/1.1` or `HTTP/1.1 200 OK`. */
  startLine: string;
  /** Start line, headers and the blank line. */
  headBytes: number;
  body: Uint8Array;
}

export interface HttpExchange {
  request: HttpMessage;
  answer: HttpMessage;
}

export interface HttpRecording {
  exchanges: HttpExchange[];
  /** Bytes of requests without an answer and of messages that were cut off. */
  brokenBytes: number;
}

const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * Takes a connection without pipelining apart. Both ends say how long their bodies are: anything
 * else would cost bytes that nobody has to pay.
 *
 * @throws Error when a message has a transfer encoding
 */
export function readExchanges({ up, down }: RecordedConnection): HttpRecording {
  const requests = readMessages(up);
  const answers = readMessages(down);
  const complete = Math.min(requests.length, answers.length);
  const exchanges = Array.from({ length: complete }, (_, at) => ({
    request: requests[at]!,
    answer: answers[at]!,
  }));
  const wholeBytes = exchanges.reduce(
    (sum, { request, answer }) => sum + messageBytes(request) + messageBytes(answer),
    0,
  );
  return { exchanges, brokenBytes: up.length + down.length - wholeBytes };
}

function messageBytes({ headBytes, body }: HttpMessage): number {
  return headBytes + body.length;
}

/** The complete messages at the start of `stream`. */
function readMessages(stream: Uint8Array): HttpMessage[] {
  const bytes = Buffer.from(stream.buffer, stream.byteOffset, stream.length);
  const messages: HttpMessage[] = [];
  let at = 0;
  for (;;) {
    const headEnd = bytes.indexOf(HEAD_END, at);
    if (headEnd < 0) return messages;
    const bodyAt = headEnd + HEAD_END.length;
    const [startLine = '', ...headers] = bytes.toString('latin1', at, headEnd).split('\r\n');
    const end = bodyAt + bodyBytes(headers);
    if (end > bytes.length) return messages;
    messages.push({ startLine, headBytes: bodyAt - at, body: bytes.subarray(bodyAt, end) });
    at = end;
  }
}

function bodyBytes(headers: readonly string[]): number {
  for (const header of headers) {
    const [name = '', value = ''] = header.split(/:(.*)/);
    if (/^transfer-encoding$/i.test(name)) throw new Error(`a message with ${header}`);
    if (/^content-length$/i.test(name)) return Number(value.trim());
  }
  return 0;
}
