import { expect, test } from 'vitest';
import { readExchanges } from '../../bench/http-exchanges.ts';

const request = (body: string) =>
  `POST /v1/batch HTTP/1.1\r\nhost: hub\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const answer = (body: string) => `HTTP/1.1 200 OK\r\ncontent-length:${body.length}\r\n\r\n${body}`;

test('requests are paired with their answers, head and body apart', () => {
  const question = 'GET /v1/positions HTTP/1.1\r\nhost: hub\r\n\r\n';
  const up = Buffer.from(question + request('a\r\n\r\nb'));
  const down = Buffer.from(answer('state') + answer(''));
  const { exchanges, brokenBytes } = readExchanges({ up, down });
  expect(brokenBytes).toBe(0);
  expect(exchanges).toHaveLength(2);
  expect(exchanges[0]?.request).toEqual({
    startLine: 'GET /v1/positions HTTP/1.1',
    headBytes: question.length,
    body: Buffer.alloc(0),
  });
  expect(exchanges[0]?.answer.body).toEqual(Buffer.from('state'));
  expect(exchanges[1]?.request.body).toEqual(Buffer.from('a\r\n\r\nb'));
  expect(exchanges[1]?.answer).toEqual({
    startLine: 'HTTP/1.1 200 OK',
    headBytes: answer('').length,
    body: Buffer.alloc(0),
  });
});

test('wherever the streams are cut, every byte is in an exchange or counted as broken', () => {
  const up = Buffer.from(request('one') + request('two'));
  const down = Buffer.from(answer('1') + answer('2'));
  for (let upEnd = 0; upEnd <= up.length; upEnd++) {
    const cut = { up: up.subarray(0, upEnd), down: down.subarray(0, upEnd) };
    const { exchanges, brokenBytes } = readExchanges(cut);
    const whole = exchanges.reduce(
      (sum, { request, answer }) =>
        sum + request.headBytes + request.body.length + answer.headBytes + answer.body.length,
      0,
    );
    expect(whole + brokenBytes).toBe(cut.up.length + cut.down.length);
    expect(exchanges).toHaveLength(Math.floor(upEnd / request('one').length));
  }
});

test('a body of unknown length is an error, not a wrong figure', () => {
  const down = Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
  expect(() => readExchanges({ up: Buffer.from(request('')), down })).toThrow('chunked');
});
