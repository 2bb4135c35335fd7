import snappyjs from 'snappyjs';
import { describe, expect, it } from 'vitest';
import { readHistogram } from '../../proto/objects/histogram.ts';
import { histogram } from '../proto/objects/histogram-fixture.ts';
import { field, label, sample, varint } from '../proto/wire-fixture.ts';
import { body, good, post, startIngest } from './ingest-fixture.ts';

const STALE = 0x7ff0_0000_0000_0002n;
const up = label('__name__', 'up');

// The numbers are those of the rules for receivers of remote write, section B.
describe('a request of version 1', () => {
  it('B12: is answered 204 with nothing in it once it is stored', async () => {
    const { url, buffer, counts } = await startIngest();
    const reply = await post(url, good);
    expect([reply.status, reply.text]).toEqual([204, '']);
    expect(Object.keys(reply.headers).filter((name) => name.startsWith('x-'))).toEqual([]);
    expect(buffer.samples).toEqual([' {__name__="up"} 1 2']);
    expect(counts).toEqual({ received: 1, histograms: 0, exemplars: 0, 'answered 204': 1 });
  });

  it('B13: with bad series is 400 naming the first and their number; the others are stored', async () => {
    const { url, buffer, counts, logLines } = await startIngest();
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
      '4 series refused, the first: invalid metric name or labels, got {job="node"}; ' +
        'everything else is stored\n',
    );
    expect(buffer.samples).toEqual([' {__name__="up"} 1 1', ' {__name__="down"} 3 3']);
    expect(counts).toEqual({
      received: 2,
      histograms: 0,
      exemplars: 0,
      'refused no_metric_name': 2,
      'refused duplicate_label': 1,
      'refused invalid_name': 1,
      'refused no_labels': 1,
      'answered 400': 1,
    });
    expect(logLines.filter((line) => line.includes('refused for good'))).toHaveLength(1);
  });

  it.each([
    [
      'a duplicate',
      [...up, ...label('a', '1'), ...label('a', '2')],
      'invalid labels for series, labels {__name__="up", a="1", a="2"}, duplicated label a',
    ],
    ['an empty name', [...up, ...label('', '1')], 'label name "" in {__name__="up", ""="1"}'],
    ['no labels', [], 'invalid metric name or labels, got {}'],
    ['too much', [...label('A', 'x'.repeat(70_000)), ...up], 'over the limit of 65536, in {A="xxx'],
    [
      'too many labels in all',
      [...Array(9000).fill(label('A', '12')).flat(), ...up],
      'over the limit of 65536, in {A="12", A="12", ',
    ],
    [
      'too much behind the name',
      [...up, ...label('a', 'x'.repeat(70_000))],
      'over the limit of 65536, in {__name__="up", a="xxx',
    ],
  ])('B13: says what is wrong with %s', async (_, labels, text) => {
    const { url, buffer } = await startIngest();
    const reply = await post(url, body([...labels, ...sample(1, 1n)]));
    expect(reply.status).toBe(400);
    expect(reply.text).toContain(text);
    expect(buffer.appends).toBe(0);
  });

  it('B13: a message about enormous labels stays short', async () => {
    const { url } = await startIngest();
    for (const length of [60_000, 70_000]) {
      const labels = [...up, ...label('a', 'x'.repeat(length))];
      const reply = await post(url, body([...labels, ...label('a', '1'), ...sample(1, 1n)]));
      expect(reply.status).toBe(400);
      expect(reply.text.length).toBeLessThan(1000);
    }
  });

  it('B14, B15: sorts labels and drops empty values, so that it is the same series', async () => {
    const { url, buffer } = await startIngest();
    const tidy = [...up, ...label('job', 'node')];
    const untidy = [...label('job', 'node'), ...label('empty', ''), ...up];
    for (const labels of [untidy, tidy, untidy]) {
      expect((await post(url, body([...labels, ...sample(1, 1n)]))).status).toBe(204);
    }
    expect(buffer.entries).toEqual([' {__name__="up", job="node"}']);
    expect(buffer.samples).toEqual(Array(3).fill(' {__name__="up", job="node"} 1 1'));
    const reply = await post(url, body([...label('__name__', ''), ...sample(1, 1n)]));
    expect(reply.text).toContain('invalid metric name or labels, got {__name__=""}');
  });

  it('B16, B17: with old, future and repeated timestamps is stored as it is', async () => {
    const { url, buffer } = await startIngest();
    const timestamps = [5, 4, 4, -1, 0, 2 ** 53, -(2 ** 53)];
    const samples = timestamps.flatMap((timestamp, row) => sample(timestamp, BigInt(row)));
    expect((await post(url, body([...up, ...samples]))).status).toBe(204);
    expect(buffer.samples).toEqual(
      timestamps.map((timestamp, row) => ` {__name__="up"} ${timestamp} ${row}`),
    );
  });

  it('with timestamps beyond ±2^53 is 400 naming them; the others are stored', async () => {
    const { url, buffer, counts } = await startIngest();
    const timestamps = [2n ** 53n + 1n, 7n, -(2n ** 63n), 2n ** 63n - 1n];
    const samples = timestamps.flatMap((timestamp) => sample(timestamp, 1n));
    const reply = await post(url, body([...up, ...samples]));
    expect(reply.status).toBe(400);
    expect(reply.text).toContain(
      '3 samples refused by their timestamp, the first: timestamp beyond ±2^53 ms',
    );
    expect(reply.text).toContain('for series {__name__="up"}');
    expect(buffer.samples).toEqual([' {__name__="up"} 7 1']);
    expect(counts).toMatchObject({ received: 1, 'refused timestamp_out_of_range': 3 });
  });

  it('keeps native histograms and exemplars with the samples', async () => {
    const { url, buffer, counts } = await startIngest();
    const three = [0x08, 3, 0x20, 6, 0x30, 3];
    const exemplar = field(1, [...field(1, 'trace_id'), ...field(2, 'x')]);
    const content = body(
      [...up, ...sample(1, 1n), ...field(3, [...exemplar, 0x18, 9])],
      [...label('__name__', 'latency'), ...field(4, [...three, 0x78, 7, 0x88, 0x01, 5])],
    );
    expect((await post(url, content)).status).toBe(204);
    expect(buffer.samples).toEqual([
      ' {__name__="up"} 1 1',
      ` {__name__="up"} 9 exemplar ${Buffer.from(exemplar).toString('hex')}`,
      ` {__name__="latency"} 7 histogram ${Buffer.from(three).toString('hex')} from 5`,
    ]);
    expect(counts).toMatchObject({ received: 2, histograms: 1, exemplars: 1 });
  });

  it('B18: exemplars are taken at any time, and what Cortex refuses of them is left out', async () => {
    const { url, buffer, logLines, counts } = await startIngest();
    const named = (value: string) => field(1, [...field(1, 'id'), ...field(2, value)]);
    const at = (timestamp: number | bigint, labels = named('x')) =>
      field(3, [...labels, ...(timestamp === 0 ? [] : [0x18, ...varint(timestamp)])]);
    const exemplars = [
      ...[...at(9), ...at(8), ...at(2 ** 52)],
      ...at(7, named('ü'.repeat(126))),
      ...[...at(2n ** 60n), ...at(1, named('x'.repeat(70_000)))],
      ...[...at(6, []), ...at(0)],
      ...[...at(5, named('ü'.repeat(127))), ...at(5, [...named('x'), ...named('x'.repeat(124))])],
    ];
    expect((await post(url, body([...up, ...sample(1, 1n), ...exemplars]))).status).toBe(204);
    const times = buffer.samples.map((line) => line.split(' ')[2]);
    expect(times).toEqual(['1', '9', '8', `${2 ** 52}`, '7']);
    expect(counts).toMatchObject({
      received: 1,
      exemplars: 4,
      'exemplars timestamp_out_of_range': 1,
      'exemplars too_large': 1,
      'exemplars no_labels': 1,
      'exemplars no_timestamp': 1,
      'exemplars labels_too_long': 2,
    });
    expect(logLines.filter((line) => line.includes('exemplars left out'))).toHaveLength(5);
  });

  it('B18: exemplars are not judged without a limit', async () => {
    const { url, buffer } = await startIngest({ exemplarLabelLengthMax: 0 });
    const exemplars = [...field(3, []), ...field(3, field(1, field(2, 'x'.repeat(200))))];
    expect((await post(url, body([...up, ...sample(1, 1n), ...exemplars]))).status).toBe(204);
    expect(buffer.samples).toHaveLength(3);
  });

  it('B19: a histogram that receivers refuse is 400 naming it; the rest is stored', async () => {
    const { url, buffer, counts } = await startIngest();
    const custom = { schema: -53, customValues: [1], zeroCount: 1 };
    const reply = await post(
      url,
      body(
        [...label('__name__', 'a'), ...field(4, histogram({ count: 3 })), ...sample(1, 1n)],
        [...label('__name__', 'b'), ...field(4, histogram(custom))],
        [...label('__name__', 'c'), ...field(4, histogram({ timestamp: 2 ** 40 }))],
      ),
    );
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('2 histograms refused, the first: 0 observations found');
    expect(reply.text).toContain("histogram's observation count should equal");
    expect(reply.text).toContain('for series {__name__="a"}');
    const only = await post(url, body([...up, ...field(4, histogram(custom))]));
    expect(only.text).toContain('custom buckets: must have zero count of 0');
    expect(buffer.samples.map((line) => line.split(' ').slice(1, 4).join(' '))).toEqual([
      '{__name__="a"} 1 1',
      `{__name__="c"} ${2 ** 40} histogram`,
    ]);
    expect(counts).toMatchObject({ received: 2, histograms: 1, 'refused histogram': 3 });
  });

  it.each([false, true])('B20: schema 9 is reduced to 8 (floats: %s)', async (isFloat) => {
    const { url, buffer } = await startIngest();
    const fine = { spans: [[1, 4]], counts: [1, 2, 3, 4] } as const;
    const coarse = { spans: [[1, 2]], counts: [3, 7] } as const;
    const sent = histogram({ schema: 9, isFloat, positive: fine, zeroCount: 5, timestamp: 7 });
    expect((await post(url, body([...up, ...field(4, sent)]))).status).toBe(204);
    const kept = Buffer.from(buffer.samples[0]!.split(' ').at(-1)!, 'hex');
    const expected = histogram({ schema: 8, isFloat, positive: coarse, zeroCount: 5 });
    const { bytes } = readHistogram(Uint8Array.from(expected), 0, expected.length);
    expect(kept.toString('hex')).toBe(Buffer.from(bytes).toString('hex'));
  });

  it('B21: metadata goes to the dictionary log, once', async () => {
    const { url, buffer } = await startIngest();
    const metadata = Uint8Array.from(field(3, [0x08, 1, ...field(2, 'up'), ...field(4, 'Is it?')]));
    for (let minute = 0; minute < 3; minute++) {
      expect((await post(url, snappyjs.compress(metadata))).status).toBe(204);
    }
    expect(buffer.entries).toEqual([' up']);
    expect(buffer.appends).toBe(1);
  });

  it('keeps every bit of its values', async () => {
    const { url, buffer } = await startIngest();
    const bits = [STALE, 1n << 63n, 0x7ff8_0000_0000_0001n, 0x7ff0_0000_dead_beefn, 2n ** 64n - 1n];
    await post(url, body([...up, ...bits.flatMap((value) => sample(1, value))]));
    expect(buffer.samples).toEqual(bits.map((value) => ` {__name__="up"} 1 ${value}`));
  });
});
