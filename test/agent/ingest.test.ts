import snappyjs from 'snappyjs';
import { afterEach, describe, expect, it } from 'vitest';
import type { AppendOutcome, IngestLimits } from '../../agent/ingest/ingest.ts';
import { field, label, sample, varint } from '../proto/wire-fixture.ts';
import { until } from '../tools/until.ts';
import { body, type Fixture, good, open, post, startIngest } from './ingest-fixture.ts';

const STALE = 0x7ff0_0000_0000_0002n;
const V1 = 'application/x-protobuf';
const V2 = 'application/x-protobuf;proto=io.prometheus.write.v2.Request';
const garbage = Buffer.from('0 this is neither snappy nor protobuf');

const started: Fixture[] = [];

async function start(limits: Partial<IngestLimits> = {}, seriesMax?: number): Promise<Fixture> {
  const fixture = await startIngest(limits, seriesMax);
  started.push(fixture);
  return fixture;
}

afterEach(async () => {
  await Promise.all(started.splice(0).map(({ server }) => server.close(0)));
});

/** An append that waits until it is told how it ends. */
function heldAppend({ buffer }: Fixture): (outcome: AppendOutcome) => void {
  const { promise, resolve } = Promise.withResolvers<AppendOutcome>();
  buffer.answer = () => promise;
  return resolve;
}

const up = label('__name__', 'up');

// The numbers are those of the rules for receivers of remote write, sections A and B.
describe('the envelope', () => {
  it.each(['zstd', 'gzip', 'deflate', 'Snappy'])(
    'A1: encoding %s is 415, before the body is looked at',
    async (encoding) => {
      const { url, buffer } = await start();
      const reply = await post(url, garbage, { headers: { 'content-encoding': encoding } });
      expect(reply.status).toBe(415);
      expect(reply.text).toBe(
        `${encoding} encoding (compression) is not accepted by this server; only snappy is acceptable\n`,
      );
      expect(buffer.appends).toBe(0);
    },
  );

  it('A2, A5, A9: without encoding, content type and version it is snappy and version 1', async () => {
    const { url } = await start();
    expect((await post(url, good)).status).toBe(204);
    const version = { 'x-prometheus-remote-write-version': '2.0.0' };
    expect((await post(url, good, { headers: version })).status).toBe(204);
  });

  it('A3: a body over the limit is 413, whether its length is declared or not', async () => {
    const { url, buffer } = await start({ bodyBytesMax: 1000 });
    const declared = await post(url, new Uint8Array(1001));
    expect(declared.status).toBe(413);
    expect(declared.text).toBe('request body exceeds the 1000 bytes limit\n');
    const chunked = open(url);
    chunked.request.write(new Uint8Array(600));
    chunked.request.write(new Uint8Array(600));
    expect((await chunked.reply).status).toBe(413);
    chunked.request.destroy();
    expect(buffer.appends).toBe(0);
  });

  it('A3: a declared length over the limit is 400 before anything is allocated', async () => {
    const { url } = await start({ decodedBytesMax: 1000 });
    const reply = await post(url, Uint8Array.from(varint(0xffff_ffff)));
    expect([reply.status, reply.text]).toEqual([400, 'decoded size exceeds the 1000 bytes limit\n']);
    expect((await post(url, snappyjs.compress(new Uint8Array(1001)))).text).toContain('decoded size');
  });

  it.each([
    ['garbage', garbage],
    ['no body', new Uint8Array(0)],
    ['a cut body', good.subarray(0, -1)],
  ])('A3: %s is 400 and names snappy', async (_, content) => {
    const { url } = await start();
    const reply = await post(url, content);
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('snappy: corrupt input');
  });

  it('A3: an empty request is good', async () => {
    const { url, buffer } = await start();
    expect((await post(url, Uint8Array.of(0))).status).toBe(204);
    expect(buffer.appends).toBe(0);
  });

  it.each(['GET', 'PUT', 'DELETE'])('A4: %s is 405', async (method) => {
    const { url } = await start();
    const reply = await post(url, new Uint8Array(0), { method });
    expect([reply.status, reply.headers.allow]).toEqual([405, 'POST']);
  });

  it('A5: a body of version 2 without content type is refused, not lost', async () => {
    const { url } = await start();
    const version2 = Uint8Array.from([...field(4, ''), ...field(5, [])]);
    const reply = await post(url, snappyjs.compress(version2));
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('remote write 2.0');
  });

  it.each([
    ['yolo', 'expected application/x-protobuf as the first (media) part, got yolo content-type'],
    ['application/json', 'got application/json content-type'],
    ['Application/X-Protobuf', 'got Application/X-Protobuf content-type'],
    [`${V1};proto=yolo`, 'unknown type for remote write protobuf message yolo'],
    [`${V1};charset`, 'expected parameters to be key-values, got charset in'],
    [`${V1};a=b=c`, 'expected parameters to be key-values'],
    [V2, 'io.prometheus.write.v2.Request protobuf message is not accepted by this server'],
    [`${V1};proto=yolo;proto=prometheus.WriteRequest`, 'message yolo'],
  ])('A6, A7, A8, A10: content type %s is 415', async (contentType, text) => {
    const { url } = await start();
    const reply = await post(url, garbage, { headers: { 'content-type': contentType } });
    expect(reply.status).toBe(415);
    expect(reply.text).toContain(text);
  });

  it.each([
    V1,
    `${V1};proto=prometheus.WriteRequest`,
    `${V1};a=b;proto=prometheus.WriteRequest`,
    `${V1}; proto=yolo`,
  ])('A8: content type %s is version 1', async (contentType) => {
    const { url } = await start();
    const headers = { 'content-type': contentType, 'content-encoding': 'snappy' };
    expect((await post(url, good, { headers })).status).toBe(204);
  });

  it('A11: a body that is no WriteRequest is 400 and nothing of it is stored', async () => {
    const { url, buffer, counts } = await start();
    const damaged = body([...up, ...sample(1, 1n)], [...up, ...sample(2, 2n), 0x08, 1]);
    const reply = await post(url, damaged);
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('TimeSeries: field 1');
    expect(buffer.appends).toBe(0);
    expect(counts).toEqual({ 'answered 400': 1 });
  });

  it('A11: labels that are no protobuf spoil the whole request too', async () => {
    const { url, buffer } = await start();
    const damaged = body([...up, ...sample(1, 1n)], [...field(1, [0x0a, 9]), ...sample(2, 2n)]);
    expect((await post(url, damaged)).status).toBe(400);
    expect(buffer.appends).toBe(0);
  });
});

describe('a request of version 1', () => {
  it('B12: is answered 204 with nothing in it once it is stored', async () => {
    const { url, buffer, counts } = await start();
    const reply = await post(url, good);
    expect([reply.status, reply.text]).toEqual([204, '']);
    expect(Object.keys(reply.headers).filter((name) => name.startsWith('x-'))).toEqual([]);
    expect(buffer.samples).toEqual([' {__name__="up"} 1 2']);
    expect(counts).toEqual({ received: 1, 'answered 204': 1 });
  });

  it('B13: with bad series is 400 naming the first and their number; the others are stored', async () => {
    const { url, buffer, counts, logLines } = await start();
    const reply = await post(
      url,
      body(
        [...up, ...sample(1, 1n)],
        [...label('job', 'node'), ...sample(1, 1n), ...sample(2, 2n)],
        [...up, ...label('a', '1'), ...label('a', '2'), ...sample(1, 1n)],
        [...up, ...field(1, [...field(1, [0xff]), ...field(2, 'x')]), ...sample(1, 1n)],
        [...sample(1, 1n)],
        [...label('__name__', 'down'), ...sample(3, 3n)],
      ),
    );
    expect(reply.status).toBe(400);
    expect(reply.text).toBe(
      '4 series refused, the first: no metric name in {job="node"}; everything else is stored\n',
    );
    expect(buffer.samples).toEqual([' {__name__="up"} 1 1', ' {__name__="down"} 3 3']);
    expect(counts).toEqual({
      received: 2,
      'refused no_metric_name': 2,
      'refused duplicate_label': 1,
      'refused invalid_name': 1,
      'refused no_labels': 1,
      'answered 400': 1,
    });
    expect(logLines.filter((line) => line.includes('refused for good'))).toHaveLength(1);
  });

  it.each([
    ['a duplicate', [...up, ...label('a', '1'), ...label('a', '2')], 'label a twice in {__name__="up", a="1", a="2"}'],
    ['an empty name', [...up, ...label('', '1')], 'label name "" in {__name__="up", ""="1"}'],
    ['no labels', [], 'a series without labels'],
    ['too much', [...up, ...label('a', 'x'.repeat(70_000))], 'over the limit of 65536'],
  ])('B13: says what is wrong with %s', async (_, labels, text) => {
    const { url, buffer } = await start();
    const reply = await post(url, body([...labels, ...sample(1, 1n)]));
    expect(reply.status).toBe(400);
    expect(reply.text).toContain(text);
    expect(buffer.appends).toBe(0);
  });

  it('B13: a message about enormous labels stays short', async () => {
    const { url } = await start();
    const reply = await post(url, body([...label('a', 'x'.repeat(60_000)), ...sample(1, 1n)]));
    expect(reply.text.length).toBeLessThan(700);
  });

  it('B14, B15: sorts labels and drops empty values, so that it is the same series', async () => {
    const { url, buffer } = await start();
    const tidy = [...up, ...label('job', 'node')];
    const untidy = [...label('job', 'node'), ...label('empty', ''), ...up];
    for (const labels of [untidy, tidy, untidy]) {
      expect((await post(url, body([...labels, ...sample(1, 1n)]))).status).toBe(204);
    }
    expect(buffer.entries).toEqual([' {__name__="up", job="node"}']);
    expect(buffer.samples).toEqual(Array(3).fill(' {__name__="up", job="node"} 1 1'));
    const reply = await post(url, body([...label('__name__', ''), ...sample(1, 1n)]));
    expect(reply.text).toContain('no metric name in {__name__=""}');
  });

  it('B16, B17: with old, future and repeated timestamps is stored as it is', async () => {
    const { url, buffer } = await start();
    const timestamps = [5, 4, 4, -1, 0, 2 ** 53, -(2 ** 53)];
    const samples = timestamps.flatMap((timestamp, row) => sample(timestamp, BigInt(row)));
    expect((await post(url, body([...up, ...samples]))).status).toBe(204);
    expect(buffer.samples).toEqual(
      timestamps.map((timestamp, row) => ` {__name__="up"} ${timestamp} ${row}`),
    );
  });

  it('with timestamps beyond ±2^53 is 400 naming them; the others are stored', async () => {
    const { url, buffer, counts } = await start();
    const timestamps = [2n ** 53n + 1n, 7n, -(2n ** 63n), 2n ** 63n - 1n];
    const samples = timestamps.flatMap((timestamp) => sample(timestamp, 1n));
    const reply = await post(url, body([...up, ...samples]));
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('3 samples with a timestamp beyond ±2^53 ms refused');
    expect(reply.text).toContain('the first in {__name__="up"}');
    expect(buffer.samples).toEqual([' {__name__="up"} 7 1']);
    expect(counts).toMatchObject({ received: 1, 'refused timestamp_out_of_range': 3 });
  });

  it('B18, B19, B20: with exemplars and native histograms is 204; they are counted and logged', async () => {
    const { url, buffer, counts, logLines } = await start();
    const content = body(
      [...up, ...sample(1, 1n), ...field(3, 'exemplar')],
      [...label('__name__', 'latency'), ...field(4, 'histogram'), ...field(4, 'histogram')],
    );
    for (let i = 0; i < 3; i++) expect((await post(url, content)).status).toBe(204);
    expect(buffer.entries).toEqual([' {__name__="up"}']);
    expect(counts).toMatchObject({ 'unsupported exemplar': 3, 'unsupported histogram': 6 });
    expect(logLines.filter((line) => line.includes('not carried yet'))).toHaveLength(2);
  });

  it('B21: metadata goes to the dictionary log, once', async () => {
    const { url, buffer } = await start();
    const metadata = Uint8Array.from(field(3, [0x08, 1, ...field(2, 'up'), ...field(4, 'Is it?')]));
    for (let minute = 0; minute < 3; minute++) {
      expect((await post(url, snappyjs.compress(metadata))).status).toBe(204);
    }
    expect(buffer.entries).toEqual([' up']);
    expect(buffer.appends).toBe(1);
  });

  it('keeps every bit of its values', async () => {
    const { url, buffer } = await start();
    const bits = [STALE, 1n << 63n, 0x7ff8_0000_0000_0001n, 0x7ff0_0000_dead_beefn, 2n ** 64n - 1n];
    await post(url, body([...up, ...bits.flatMap((value) => sample(1, value))]));
    expect(buffer.samples).toEqual(bits.map((value) => ` {__name__="up"} 1 ${value}`));
  });
});

describe('the answer', () => {
  it('does not come before the samples are stored', async () => {
    const fixture = await start();
    const finish = heldAppend(fixture);
    let isAnswered = false;
    const reply = post(fixture.url, good).then((answer) => {
      isAnswered = true;
      return answer;
    });
    await until(() => fixture.buffer.appends === 1);
    // A second request goes all the way to its answer meanwhile.
    expect((await post(fixture.url, Uint8Array.of(0))).status).toBe(204);
    expect(isAnswered).toBe(false);
    finish({ kind: 'stored' });
    expect((await reply).status).toBe(204);
  });

  it('is 503 with Retry-After and the reason when the samples cannot be stored', async () => {
    const { url, buffer, counts } = await start();
    const refused: AppendOutcome = { kind: 'unavailable', reason: 'buffer_full', retryAfterMs: 14_200 };
    buffer.answer = async () => refused;
    const content = body([...up, ...sample(1, 1n)], [...label('job', 'x'), ...sample(1, 1n)]);
    const reply = await post(url, content);
    expect([reply.status, reply.text]).toEqual([503, 'buffer_full\n']);
    expect(reply.headers['retry-after']).toBe('15');
    expect(counts).toEqual({ 'answered 503': 1 });
  });

  it('is 503 while more waits to be stored than the limit, and 204 afterwards', async () => {
    const fixture = await start({ inFlightBytesMax: 60 });
    const finish = heldAppend(fixture);
    const first = post(fixture.url, good);
    await until(() => fixture.buffer.appends === 1);
    const long = [...up, ...label('a', 'x'.repeat(100)), ...sample(1, 2n)];
    const second = await post(fixture.url, body(long));
    expect(second.status).toBe(503);
    expect(second.headers['retry-after']).toBe('1');
    finish({ kind: 'stored' });
    expect((await first).status).toBe(204);
    // Larger than the limit, yet alone: it would else be refused for ever.
    expect((await post(fixture.url, body(long))).status).toBe(204);
  });

  it('is 503 while bodies over the limit are on their way, and the memory is free when they end', async () => {
    const fixture = await start({ inFlightBytesMax: 1000 });
    const slow = open(fixture.url, { headers: { 'content-length': 990 } });
    slow.reply.catch(() => undefined);
    slow.request.write('x');
    // Connections are accepted in order: the slow one has begun when this is answered.
    await until(async () => (await post(fixture.url, good)).status === 503);
    slow.request.destroy();
    await until(async () => (await post(fixture.url, good)).status === 204);
  });

  it('to a body that does not arrive in time is 503, so that Prometheus keeps its samples', async () => {
    const { url } = await start({ requestTimeoutMs: 50 });
    const slow = open(url, { headers: { 'content-length': 1000 } });
    slow.request.write('x');
    const reply = await slow.reply;
    expect([reply.status, reply.headers['retry-after']]).toEqual([503, '1']);
    slow.request.destroy();
  });

  it('to new series is 503 once the dictionary is full; known ones are stored', async () => {
    const { url, buffer, logLines } = await start({}, 1);
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
    const { url, buffer } = await start();
    const damaged = body([...label('__name__', 'first'), ...sample(1, 1n)], [0x08, 1]);
    expect((await post(url, damaged)).status).toBe(400);
    expect((await post(url, good)).status).toBe(204);
    expect(buffer.entries).toEqual([' {__name__="first"}', ' {__name__="up"}']);
    expect(buffer.samples).toEqual([' {__name__="up"} 1 2']);
  });

  it('of many requests at once are handed over in the order of their ids', async () => {
    const { url, buffer } = await start();
    const replies = Array.from({ length: 40 }, (_, i) =>
      post(url, body([...up, ...label('i', `${i % 20}`), ...sample(i, 1n)])),
    );
    for (const reply of await Promise.all(replies)) expect(reply.status).toBe(204);
    expect(buffer.entries).toHaveLength(20);
    expect(buffer.samples).toHaveLength(40);
  });
});

describe('the tenant', () => {
  it('is that of X-Scope-OrgID, else the configured one', async () => {
    const { url, buffer } = await start({ defaultTenant: 'house' });
    const headers = { 'x-scope-orgid': "team-a_1.*'()!" };
    expect((await post(url, good, { headers })).status).toBe(204);
    expect((await post(url, good)).status).toBe(204);
    expect(buffer.samples).toEqual([
      'team-a_1.*\'()! {__name__="up"} 1 2',
      'house {__name__="up"} 1 2',
    ]);
  });

  it.each(['a|b', '..', '.', '__markers__', 'a b', 'a/b', 'x'.repeat(151)])(
    'cannot be %s',
    async (tenant) => {
      const { url, buffer } = await start();
      const reply = await post(url, good, { headers: { 'x-scope-orgid': tenant } });
      expect(reply.status).toBe(400);
      expect(reply.text).toContain('X-Scope-OrgID');
      expect(buffer.appends).toBe(0);
    },
  );
});
