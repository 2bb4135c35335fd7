import { expect, test } from 'vitest';
import { RequestReader } from '../../../bench/link/send-counter.ts';

/** What a reader makes of a connection on which `chunks` arrive. */
function read(chunks: readonly string[]): string[] {
  const seen: string[] = [];
  const reader = new RequestReader({
    whole: (body) => seen.push(body.toString()),
    cutOff: () => seen.push('cut off'),
  });
  for (const chunk of chunks) reader.read(Buffer.from(chunk));
  reader.end();
  return seen;
}

const question = 'GET /v1/positions HTTP/1.1\r\nhost: hub\r\n\r\n';

function post(body: string): string {
  return `POST /v1/batch HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

test('requests are told apart wherever the stream is cut into chunks', () => {
  const stream = `${post('one')}${question}${post('and\r\n\r\ntwo')}${question}`;
  for (let size = 1; size <= stream.length; size++) {
    const chunks = stream.match(new RegExp(`[^]{1,${size}}`, 'g'))!;
    expect(read(chunks)).toEqual(['one', 'and\r\n\r\ntwo']);
  }
});

test.each([
  ['in the middle of a body', [post('whole'), post('half of it').slice(0, -1)], true],
  ['before the first byte of a body', [post('whole'), post('nothing').slice(0, -7)], true],
  ['in the middle of a head', [post('whole'), post('head').slice(0, 20)], false],
  ['between two requests', [post('whole')], false],
])('a connection that ends %s', (_, chunks, isCutOff) => {
  expect(read(chunks)).toEqual(isCutOff ? ['whole', 'cut off'] : ['whole']);
});
