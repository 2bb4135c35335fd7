import { describe, expect, it } from 'vitest';
import type { AppendOutcome } from '../../agent/ingest/ingest.ts';
import { label, sample } from '../proto/wire-fixture.ts';
import { until } from '../tools/until.ts';
import { body, type Fixture, good, open, post, startIngest } from './ingest-fixture.ts';

const up = label('__name__', 'up');

/** An append that waits until it is told how it ends. */
function heldAppend({ buffer }: Fixture): (outcome: AppendOutcome) => void {
  const { promise, resolve } = Promise.withResolvers<AppendOutcome>();
  buffer.answer = () => promise;
  return resolve;
}

describe('the answer', () => {
  it('does not come before the samples are stored', async () => {
    const fixture = await startIngest();
    const finish = heldAppend(fixture);
    let isAnswered = false;
    const reply = post(fixture.url, good).then((answer) => {
      isAnswered = true;
      return answer;
    });
    await until('the append', 5000, () => fixture.buffer.appends === 1);
    // A second request goes all the way to its answer meanwhile.
    expect((await post(fixture.url, Uint8Array.of(0))).status).toBe(204);
    expect(isAnswered).toBe(false);
    finish({ kind: 'stored' });
    expect((await reply).status).toBe(204);
  });

  it('is 503 with Retry-After and the reason when the samples cannot be stored', async () => {
    const { url, buffer, counts } = await startIngest();
    const refused: AppendOutcome = {
      kind: 'unavailable',
      reason: 'buffer_full',
      retryAfterMs: 14_200,
    };
    buffer.answer = async () => refused;
    const content = body([...up, ...sample(1, 1n)], [...label('job', 'x'), ...sample(1, 1n)]);
    const reply = await post(url, content);
    expect([reply.status, reply.text]).toEqual([503, 'buffer_full\n']);
    expect(reply.headers['retry-after']).toBe('15');
    expect(counts).toEqual({ 'answered 503': 1 });
  });

  it('is 503 while the buffer is salvaged, and no series is looked up meanwhile', async () => {
    const { url, buffer, counts } = await startIngest();
    buffer.pause = { reason: 'recovering', retryAfterMs: 5000 };
    const reply = await post(url, good);
    expect([reply.status, reply.text]).toEqual([503, 'recovering\n']);
    expect(reply.headers['retry-after']).toBe('5');
    expect(buffer.appends).toBe(0);
    buffer.pause = undefined;
    expect((await post(url, good)).status).toBe(204);
    // The table of series begins again with a new buffer: an id given out before would be void.
    expect(buffer.entries).toHaveLength(1);
    expect(counts).toMatchObject({ 'answered 503': 1, 'answered 204': 1 });
  });

  it('is 503 while more waits to be stored than the limit, and 204 afterwards', async () => {
    const fixture = await startIngest({ inFlightBytesMax: 500 });
    const finish = heldAppend(fixture);
    const first = post(fixture.url, good);
    await until('the append', 5000, () => fixture.buffer.appends === 1);
    const long = [...up, ...label('a', 'x'.repeat(1000)), ...sample(1, 2n)];
    const second = await post(fixture.url, body(long));
    expect(second.status).toBe(503);
    expect(second.headers['retry-after']).toBe('1');
    finish({ kind: 'stored' });
    expect((await first).status).toBe(204);
    // Larger than the limit, yet alone: it would else be refused for ever.
    expect((await post(fixture.url, body(long))).status).toBe(204);
  });

  it('is 503 while bodies over the limit are on their way, and the memory is free when they end', async () => {
    const fixture = await startIngest({ inFlightBytesMax: 1000 });
    const slow = open(fixture.url, { headers: { 'content-length': 990 } });
    slow.reply.catch(() => undefined);
    slow.request.write('x');
    const answered = (status: number) => async () =>
      (await post(fixture.url, good)).status === status;
    await until('the slow body to count', 5000, answered(503));
    slow.request.destroy();
    await until('its memory to be free', 5000, answered(204));
  });

  it('to a body that does not arrive in time is 503, so that Prometheus keeps its samples', async () => {
    const { url } = await startIngest({ requestTimeoutMs: 50 });
    const slow = open(url, { headers: { 'content-length': 1000 } });
    slow.request.write('x');
    const reply = await slow.reply;
    expect([reply.status, reply.headers['retry-after']]).toEqual([503, '1']);
    slow.request.destroy();
  });

  it('to new series is 503 once the dictionary is full; known ones are stored', async () => {
    const { url, buffer, logLines } = await startIngest({}, 1);
    expect((await post(url, good)).status).toBe(204);
    const fresh = body([...up, ...sample(2, 2n)], [...label('__name__', 'new'), ...sample(2, 2n)]);
    const reply = await post(url, fresh);
    expect([reply.status, reply.headers['retry-after']]).toEqual([503, '60']);
    expect(reply.text).toContain('raise buffer.max_series');
    expect(logLines.join()).toContain('dictionary is full');
    expect((await post(url, good)).status).toBe(204);
    expect(buffer.samples).toHaveLength(2);
  });
});

describe('dictionary entries', () => {
  it('of a request that came to nothing go with the next one that is stored', async () => {
    const { url, buffer } = await startIngest();
    const damaged = body([...label('__name__', 'first'), ...sample(1, 1n)], [0x08, 1]);
    expect((await post(url, damaged)).status).toBe(400);
    expect((await post(url, good)).status).toBe(204);
    expect(buffer.entries).toEqual([' {__name__="first"}', ' {__name__="up"}']);
    expect(buffer.samples).toEqual([' {__name__="up"} 1 2']);
  });

  it('of many requests at once are handed over in the order of their ids', async () => {
    const { url, buffer } = await startIngest();
    const replies = Array.from({ length: 40 }, (_, i) =>
      post(url, body([...up, ...label('i', `${i % 20}`), ...sample(i, 1n)])),
    );
    for (const reply of await Promise.all(replies)) expect(reply.status).toBe(204);
    expect(buffer.entries).toHaveLength(20);
    expect(buffer.samples).toHaveLength(40);
  });
});
