import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { histogram } from '../proto/objects/histogram-fixture.ts';
import {
  exemplar2,
  histogram2,
  labelsRefs,
  metadata2,
  request2,
  type Series2,
} from '../proto/request-2-fixture.ts';
import { field, sample, varint } from '../proto/wire-fixture.ts';
import { post2, startIngest, written } from './ingest-fixture.ts';

const STALE = 0x7ff0_0000_0000_0002n;
const up = [['__name__', 'up']] as const;

/** One sample, four histograms and an exemplar. */
function good(name: string): Series2 {
  return {
    labels: [['__name__', name]],
    fields: (reference) => [
      ...sample(1, 1n),
      ...[1, 2, 3, 4].flatMap((timestamp) => histogram2(histogram({ zeroCount: 1, timestamp }))),
      ...exemplar2([reference('trace_id'), reference('x')]),
    ],
  };
}

function one(labels: NonNullable<Series2['labels']>): Series2 {
  return { labels, fields: () => sample(1, 1n) };
}

// The numbers are those of the rules for receivers of remote write, section C.
describe('a request of version 2', () => {
  it('C22: is answered 204 with counts of what was written, as each answer to it', async () => {
    const { url, buffer, counts } = await startIngest();
    const reply = await post2(url, request2(good('a'), good('b')));
    expect([reply.status, reply.text, written(reply)]).toEqual([204, '', '2/8/2']);
    expect(buffer.samples).toHaveLength(12);
    expect(counts).toMatchObject({ received: 10, histograms: 8, exemplars: 2 });
    expect(written(await post2(url, request2()))).toBe('0/0/0');
    const tenant = await post2(url, request2(good('a')), { 'x-scope-orgid': 'a|b' });
    expect([tenant.status, written(tenant)]).toEqual([400, '0/0/0']);
  });

  const meta = (help: number, unit: number) => () => [
    ...sample(1, 1n),
    ...metadata2(1, help, unit),
  ];
  it.each<[string, Series2, string]>([
    [
      'a: no metric name',
      one([['test_metric1', 'test_metric1']]),
      'invalid metric name or labels, got {test_metric1="test_metric1"}',
    ],
    [
      'b: an empty metric name',
      one([['__name__', '']]),
      'invalid metric name or labels, got {__name__=""}',
    ],
    [
      'c: a label twice',
      one([...up, ['a', '1'], ['a', '1']]),
      'invalid labels for series, labels {__name__="up", a="1", a="1"}, duplicated label a',
    ],
    [
      'd: an odd number of references',
      { refs: [1, 2, 3], fields: () => sample(1, 1n) },
      'parsing labels for series [1 2 3]: invalid labelRefs length 3',
    ],
    [
      'e: a reference outside',
      { refs: [1, 999], fields: () => sample(1, 1n) },
      'parsing labels for series [1 999]: labelRefs 1 (name) = 999 (value) outside of symbols table (size 6)',
    ],
    [
      'f: a unit outside',
      { refs: [1, 2], fields: meta(0, 999) },
      'parsing metadata for series [1 2]: metadata unit_ref 999 outside of symbols table (size 6)',
    ],
    [
      'g: a help outside',
      { refs: [1, 2], fields: meta(999, 0) },
      'parsing metadata for series [1 2]: metadata help_ref 999 outside of symbols table (size 6)',
    ],
    [
      'h: nothing in it',
      { labels: up },
      'TimeSeries must contain at least one sample or histogram for series {__name__="up"}',
    ],
    [
      'k, l: a histogram that receivers refuse',
      { labels: up, fields: () => histogram2(histogram({ count: 1 })) },
      "histogram's observation count should equal the number of observations found in the buckets",
    ],
    [
      'i: a timestamp that nothing holds',
      { labels: up, fields: () => sample(2n ** 62n, 1n) },
      'timestamp beyond ±2^53 ms for series {__name__="up"}',
    ],
    [
      'm: an exemplar whose reference is outside',
      { labels: up, fields: () => exemplar2([1, 999]) },
      'parsing exemplar for series {__name__="up"}: labelRefs 1 (name) = 999 (value)',
    ],
  ])('C23%s is named in a 400, and the others are stored', async (_, bad, text) => {
    const { url, buffer } = await startIngest();
    const reply = await post2(url, request2(bad, good('a'), good('b')));
    expect([reply.status, written(reply)]).toEqual([400, '2/8/2']);
    expect(reply.text).toContain(text);
    expect(reply.text.trimEnd().split('\n')).toHaveLength(1);
    expect(buffer.samples).toHaveLength(12);
  });

  it('C23: every refusal has its line, within bounds', async () => {
    const { url, counts } = await startIngest();
    const nameless = Array.from({ length: 1000 }, (_, i) => one([['job', `${i}`]]));
    const reply = await post2(url, request2(...nameless, good('a')));
    expect([reply.status, written(reply)]).toEqual([400, '1/4/1']);
    const lines = reply.text.trimEnd().split('\n');
    expect(lines[1]).toBe('invalid metric name or labels, got {job="1"}');
    expect(lines.at(-1)).toBe(`and ${1000 - lines.length + 1} more`);
    expect(reply.text.length).toBeLessThan(10_000);
    expect(counts).toMatchObject({ 'refused no_metric_name': 1000 });
  });

  it('C23i, C23j: samples out of order or twice are stored: the edge cannot judge them', async () => {
    const { url } = await startIngest();
    const fields = () => [5, 4, 4, 9e12].flatMap((timestamp) => sample(timestamp, 1n));
    const reply = await post2(url, request2({ labels: up, fields }));
    expect([reply.status, written(reply)]).toEqual([204, '4/0/0']);
  });

  it('C24: that cannot be stored is 503 and counts nothing', async () => {
    const { url, buffer } = await startIngest();
    buffer.answer = async () => ({ kind: 'unavailable', reason: 'full', retryAfterMs: 1000 });
    const reply = await post2(url, request2(one([['a', 'b']]), good('a')));
    expect([reply.status, written(reply)]).toEqual([503, '0/0/0']);
  });

  it('C25: an exemplar or metadata that cannot be kept fails nothing', async () => {
    const { url, buffer } = await startIngest();
    const long = 'x'.repeat(70_000);
    const fields: Series2['fields'] = (reference) => [
      ...sample(1, 1n),
      ...exemplar2([reference('trace_id'), reference(long)]),
      ...metadata2(1, reference(long), 0),
    ];
    const reply = await post2(url, request2({ labels: up, fields }));
    expect([reply.status, written(reply)]).toEqual([204, '1/0/0']);
    expect(buffer.entries).toEqual([' {__name__="up"}']);
  });

  it('C26: of metadata or of exemplars only is taken', async () => {
    const { url, buffer } = await startIngest();
    const described = request2({ labels: up, fields: (text) => metadata2(2, text('Is it?'), 0) });
    const reply = await post2(url, described);
    expect([reply.status, written(reply)]).toEqual([204, '0/0/0']);
    expect(buffer.entries).toEqual([' up']);
    const traced: Series2['fields'] = (text) => exemplar2([text('trace_id'), text('a')]);
    const second = await post2(url, request2({ labels: up, fields: traced }));
    expect([second.status, written(second)]).toEqual([204, '0/0/1']);
    expect(buffer.samples).toHaveLength(1);
  });

  it('C27: may have any text as its first symbol', async () => {
    const { url, buffer } = await startIngest();
    const series = field(5, [...labelsRefs([0, 1]), ...sample(1, 2n)]);
    const message = [...field(4, '__name__'), ...field(4, 'up'), ...series];
    expect(written(await post2(url, Uint8Array.from(message)))).toBe('1/0/0');
    expect(buffer.samples).toEqual([' {__name__="up"} 1 2']);
  });

  it('C28: gets no labels from its metadata and keeps those it has', async () => {
    const { url, buffer } = await startIngest();
    const labels = [...up, ['__type__', 'x'], ['__unit__', 'y']] as const;
    const fields: Series2['fields'] = (text) => [...sample(1, 2n), ...metadata2(1, 0, text('s'))];
    await post2(url, request2({ labels: up, fields }, { labels, fields }));
    expect(buffer.samples).toEqual([
      ' {__name__="up"} 1 2',
      ' {__name__="up", __type__="x", __unit__="y"} 1 2',
    ]);
  });

  it('C29: keeps start timestamps, and the created timestamp where there are none', async () => {
    const { url, buffer } = await startIngest();
    const counter = { labels: up, fields: () => field(2, [0x10, 7, 0x18, 5]) };
    const fields = () => [
      ...sample(8, 1n),
      ...histogram2(histogram({ timestamp: 9, startTimestamp: 6 })),
      ...histogram2(histogram({ timestamp: 10 })),
      ...[0x30, ...varint(4)],
    ];
    expect((await post2(url, request2(counter, { labels: up, fields }))).status).toBe(204);
    expect(buffer.samples.map((line) => line.replace(/.*} (\d+) .* from/, '$1 from'))).toEqual([
      '7 from 5',
      '8 from 4',
      '9 from 6',
      '10 from 4',
    ]);
  });

  it('C30: keeps every bit of its values, and names in UTF-8', async () => {
    const { url, buffer } = await startIngest();
    const bits = [STALE, 0x7ff8_0000_0000_0001n, 0x7ff0n << 48n, 0xfff0n << 48n, 1n << 63n];
    const labels = [
      ['__name__', 'resource.cpu.usage'],
      ['host name', 'zürich'],
    ] as const;
    const fields = () => bits.flatMap((value) => sample(1, value));
    expect((await post2(url, request2({ labels, fields }))).status).toBe(204);
    const series = '{__name__="resource.cpu.usage", "host name"="zürich"}';
    expect(buffer.samples).toEqual(bits.map((value) => ` ${series} 1 ${value}`));
  });

  it.each<[string, readonly string[], bigint, string]>([
    ['without labels, which it leaves out', [], 1n, '1/0/0'],
    ['without a trace id', ['user', 'x'], 1n, '1/0/1'],
    ['in Unicode', ['trace_id', '測試 🚀'], 1n, '1/0/1'],
    ['of NaN', ['trace_id', 'x'], 0x7ff8_0000_0000_0001n, '1/0/1'],
    ['of infinity', ['trace_id', 'x'], 0x7ff0n << 48n, '1/0/1'],
  ])('C31: takes an exemplar %s', async (_, texts, bits, counts) => {
    const { url } = await startIngest();
    const fields: Series2['fields'] = (reference) => [
      ...sample(1, 1n),
      ...exemplar2(texts.map(reference), { bits }),
    ];
    const reply = await post2(url, request2({ labels: up, fields }));
    expect([reply.status, written(reply)]).toEqual([204, counts]);
  });

  it('C32: that was answered 400 is stored but for what is named, and must not come again', async () => {
    const { url, buffer } = await startIngest();
    const message = request2(one([['job', 'x']]), one(up));
    expect((await post2(url, message)).status).toBe(400);
    expect((await post2(url, message)).status).toBe(400);
    expect(buffer.samples).toEqual(Array(2).fill(' {__name__="up"} 1 1'));
  });
});

it('each rule for receivers of remote write has a test', () => {
  const folder = new URL('.', import.meta.url);
  const titles = readdirSync(folder)
    .filter((name) => name.endsWith('.test.ts'))
    .flatMap((name) => readFileSync(new URL(name, folder), 'utf8').split('\n'))
    .filter((line) => /['"`][ABC]\d+/.test(line))
    .join('\n');
  const tested = new Set(Array.from(titles.matchAll(/\b[ABC](\d+)/g), ([, number]) => number));
  const missing = Array.from({ length: 32 }, (_, i) => `${i + 1}`).filter((n) => !tested.has(n));
  expect(missing).toEqual([]);
});
