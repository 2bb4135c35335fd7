import { constants, zstdCompressSync } from 'node:zlib';
import snappyjs from 'snappyjs';
import { describe, expect, it } from 'vitest';
import { request2 } from '../proto/request-2-fixture.ts';
import { field, label, sample, varint, writeRequest } from '../proto/wire-fixture.ts';
import {
  body,
  good,
  open,
  post,
  post2,
  startIngest,
  VERSION_2,
  written,
} from './ingest-fixture.ts';

const V1 = 'application/x-protobuf';
const garbage = Buffer.from('0 this is neither snappy nor protobuf');
const up = label('__name__', 'up');

// The numbers are those of the rules for receivers of remote write, section A.
describe('the envelope', () => {
  it.each(['gzip', 'deflate', 'snappy-framed', 'snappy, zstd'])(
    'A1: encoding %s is 415, before the body is looked at',
    async (encoding) => {
      const { url, buffer } = await startIngest();
      const reply = await post(url, garbage, { headers: { 'content-encoding': encoding } });
      expect(reply.status).toBe(415);
      expect(reply.text).toBe(
        `${encoding} encoding (compression) is not accepted by this server; only snappy and zstd are acceptable\n`,
      );
      expect(buffer.appends).toBe(0);
    },
  );

  const zstdParams = { [constants.ZSTD_c_contentSizeFlag]: 1 };
  it.each([
    ['as vmagent sends it', { 'content-encoding': 'zstd' }],
    ['as vmagent sends what was in its queue', { 'content-encoding': 'snappy' }],
    ['with version 2', { 'content-encoding': 'zstd', 'content-type': VERSION_2 }],
  ])('A1: zstd is taken %s', async (_, headers) => {
    const { url, buffer } = await startIngest();
    const isVersion2 = 'content-type' in headers;
    const message = isVersion2
      ? request2({ labels: [['__name__', 'up']], fields: () => sample(1, 2n) })
      : writeRequest([...up, ...sample(1, 2n)]);
    const version = { 'x-victoriametrics-remote-write-version': '1' };
    const content = zstdCompressSync(message, { params: zstdParams });
    const reply = await post(url, content, { headers: { ...version, ...headers } });
    expect([reply.status, reply.text]).toEqual([204, '']);
    expect(buffer.samples).toEqual([' {__name__="up"} 1 2']);
  });

  it.each(['SNAPPY', 'Snappy', 'ZSTD', ' snappy '])(
    'A1: encoding %s is taken, as its case does not count',
    async (encoding) => {
      const { url, buffer } = await startIngest();
      const reply = await post(url, good, { headers: { 'content-encoding': encoding } });
      expect([reply.status, buffer.appends]).toEqual([204, 1]);
    },
  );

  it('A1: of an encoding that is said twice the first counts', async () => {
    const { url } = await startIngest();
    const twice = (...encodings: string[]) =>
      post(url, good, { headers: { 'Content-Encoding': encodings } });
    expect((await twice('snappy', 'gzip')).status).toBe(204);
    expect((await twice('gzip', 'snappy')).status).toBe(415);
  });

  it('A1: snappy under the header of zstd is taken too', async () => {
    const { url } = await startIngest();
    const reply = await post(url, good, { headers: { 'content-encoding': 'zstd' } });
    expect(reply.status).toBe(204);
  });

  it('A3: zstd over the limit is 400, whether it declares its size or not', async () => {
    const { url, buffer } = await startIngest({ decodedBytesMax: 100_000 });
    const bomb = new Uint8Array(10_000_000);
    const declared = zstdCompressSync(bomb, { params: zstdParams });
    const reply = await post(url, declared);
    expect([reply.status, reply.text]).toEqual([
      400,
      'decoded size exceeds the 100000 bytes limit\n',
    ]);
    const undeclared = zstdCompressSync(bomb, {
      params: { [constants.ZSTD_c_contentSizeFlag]: 0 },
    });
    const second = await post(url, undeclared);
    expect(second.status).toBe(400);
    expect(second.text).toContain('nothing stored: zstd');
    expect((await post(url, declared.subarray(0, -2))).text).toContain('the frame is cut off');
    expect(buffer.appends).toBe(0);
  });

  it('A2, A5, A9: without encoding, content type and version it is snappy and version 1', async () => {
    const { url } = await startIngest();
    expect((await post(url, good)).status).toBe(204);
    const version = { 'x-prometheus-remote-write-version': '2.0.0' };
    expect((await post(url, good, { headers: version })).status).toBe(204);
  });

  it('A3: a body over the limit is 413, whether its length is declared or not', async () => {
    const { url, buffer } = await startIngest({ bodyBytesMax: 1000 });
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
    const { url } = await startIngest({ decodedBytesMax: 1000 });
    const reply = await post(url, Uint8Array.from(varint(0xffff_ffff)));
    expect([reply.status, reply.text]).toEqual([
      400,
      'decoded size exceeds the 1000 bytes limit\n',
    ]);
    expect((await post(url, snappyjs.compress(new Uint8Array(1001)))).text).toContain(
      'decoded size',
    );
  });

  it.each([
    ['garbage', garbage],
    ['no body', new Uint8Array(0)],
    ['a cut body', good.subarray(0, -1)],
  ])('A3: %s is 400 and names snappy', async (_, content) => {
    const { url } = await startIngest();
    const reply = await post(url, content);
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('snappy: corrupt input');
  });

  it('A3: an empty request is good', async () => {
    const { url, buffer } = await startIngest();
    expect((await post(url, Uint8Array.of(0))).status).toBe(204);
    expect(buffer.appends).toBe(0);
  });

  it.each(['GET', 'PUT', 'DELETE'])('A4: %s is 405', async (method) => {
    const { url } = await startIngest();
    const reply = await post(url, new Uint8Array(0), { method });
    expect([reply.status, reply.headers.allow]).toEqual([405, 'POST']);
  });

  it('A5: a body of version 2 without content type is refused, not lost', async () => {
    const { url } = await startIngest();
    const version2 = Uint8Array.from([...field(4, ''), ...field(5, [])]);
    const reply = await post(url, snappyjs.compress(version2));
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('remote write 2.0');
  });

  it.each([
    ['yolo', 'expected application/x-protobuf as the first (media) part, got yolo content-type'],
    ['application/json', 'got application/json content-type'],
    ['Application/X-Protobuf', 'got Application/X-Protobuf content-type'],
    [
      `${V1};proto=yolo`,
      'got application/x-protobuf;proto=yolo content type; unknown type for remote write ' +
        'protobuf message yolo, supported: prometheus.WriteRequest, io.prometheus.write.v2.Request',
    ],
    [`${V1};charset`, 'expected parameters to be key-values, got charset in'],
    [`${V1};a=b=c`, 'expected parameters to be key-values'],
    [`${V1};proto=yolo;proto=prometheus.WriteRequest`, 'message yolo'],
  ])('A6, A7, A8: content type %s is 415', async (contentType, text) => {
    const { url } = await startIngest();
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
    const { url } = await startIngest();
    const headers = { 'content-type': contentType, 'content-encoding': 'snappy' };
    expect((await post(url, good, { headers })).status).toBe(204);
  });

  it('A2, A9, A10: version 2 is taken beside version 1, whatever the version header says', async () => {
    const { url, buffer } = await startIngest();
    const message = request2({ labels: [['__name__', 'up']], fields: () => sample(1, 2n) });
    const version = { 'x-prometheus-remote-write-version': '0.1.0' };
    for (const headers of [version, {}]) {
      const type = { 'content-type': VERSION_2, ...headers };
      const reply = await post(url, snappyjs.compress(message), { headers: type });
      expect([reply.status, written(reply)]).toEqual([204, '1/0/0']);
    }
    const plain = { 'content-type': 'application/x-protobuf;proto=prometheus.WriteRequest' };
    expect((await post(url, good, { headers: plain })).status).toBe(204);
    expect(buffer.samples).toEqual(Array(3).fill(' {__name__="up"} 1 2'));
  });

  it('A8, A10: a message under the content type of the other version is refused, not lost', async () => {
    const { url, buffer } = await startIngest();
    const message = request2({ labels: [['__name__', 'up']], fields: () => sample(1, 2n) });
    const blank = VERSION_2.replace(';', '; ');
    const first = await post2(url, message, { 'content-type': blank });
    expect(first.text).toContain('remote write 2.0 message under the content type of 1.0');
    const second = await post2(url, writeRequest([...up, ...sample(1, 2n)]));
    expect(second.text).toContain('remote write 1.0 message under the content type of 2.0');
    expect([first.status, second.status, written(second)]).toEqual([400, 400, '0/0/0']);
    expect(buffer.appends).toBe(0);
  });

  it.each([
    ['a series that is a number', [0x28, 1]],
    ['a histogram that is none', [...field(5, [...field(1, [0, 0]), ...field(3, [0x09])])]],
    ['a body cut off', [...field(4, ''), 0x2a, 9]],
  ])('A11: of version 2, %s is 400 and nothing is stored', async (_, bytes) => {
    const { url, buffer } = await startIngest();
    const one = request2({ labels: [['__name__', 'up']], fields: () => sample(1, 2n) });
    const reply = await post2(url, Uint8Array.from([...one, ...bytes]));
    expect([reply.status, written(reply), buffer.appends]).toEqual([400, '0/0/0', 0]);
    expect(reply.text).toContain('nothing stored: ');
  });

  it('A11: a body that is no WriteRequest is 400 and nothing of it is stored', async () => {
    const { url, buffer, counts } = await startIngest();
    const damaged = body([...up, ...sample(1, 1n)], [...up, ...sample(2, 2n), 0x08, 1]);
    const reply = await post(url, damaged);
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('TimeSeries: field 1');
    expect(buffer.appends).toBe(0);
    expect(counts).toEqual({ 'answered 400': 1 });
  });

  it('A11: labels that are no protobuf spoil the whole request too', async () => {
    const { url, buffer } = await startIngest();
    const damaged = body([...up, ...sample(1, 1n)], [...field(1, [0x0a, 9]), ...sample(2, 2n)]);
    expect((await post(url, damaged)).status).toBe(400);
    expect(buffer.appends).toBe(0);
  });
});
