import snappyjs from 'snappyjs';
import { describe, expect, it } from 'vitest';
import { histogram, type Shape } from '../proto/objects/histogram-fixture.ts';
import {
  exemplar2,
  histogram2,
  metadata2,
  type Reference,
  request2,
  type Series2,
} from '../proto/request-2-fixture.ts';
import { field, fixed64, label, sample, varint } from '../proto/wire-fixture.ts';
import { body, post, post2, startIngest, VERSION_2, written } from './ingest-fixture.ts';

// The cases of the receiver suite of prometheus/compliance, by the names of its tests.

const NOW = Date.now();
const values = {
  '1.0': 0x3ff0_0000_0000_0000n,
  StaleNaN: 0x7ff0_0000_0000_0002n,
  NaN: 0x7ff8_0000_0000_0001n,
  Inf: 0x7ff0n << 48n,
  '-Inf': 0xfff0n << 48n,
};

type Labels = readonly (readonly [string, string])[];
type Fields = NonNullable<Series2['fields']>;

function named(name: string, fields: Fields, more: Labels = []): Series2 {
  return { labels: [['__name__', name], ...more], fields };
}

const oneSample = () => sample(NOW, values['1.0']);
const created = [0x30, ...varint(NOW - 60_000)];
const trace = (text: Reference) => [text('trace_id'), text('0123456789abcdef')];
const described = (type: number) => (text: Reference) => {
  return metadata2(type, text('What it is.'), text('seconds'));
};
const exponential: Shape = {
  schema: 2,
  zeroCount: 2,
  zeroThreshold: 0.001,
  positive: { spans: [[0, 2]], counts: [3, 5] },
  negative: { spans: [[1, 1]], counts: [1] },
  timestamp: NOW,
};
const custom: Shape = {
  schema: -53,
  customValues: [0.1, 1, 10],
  positive: { spans: [[0, 4]], counts: [1, 2, 3, 4] },
  timestamp: NOW,
};
const oneHistogram = (shape: Shape) => () => histogram2(histogram(shape));
const all = (text: Reference) => [
  ...oneHistogram(custom)(),
  ...exemplar2(trace(text), { timestamp: NOW }),
  ...described(3)(text),
];

async function answerTo(...series: Series2[]): Promise<string> {
  const { url } = await startIngest();
  const reply = await post2(url, request2(...series));
  return `${reply.status} ${written(reply)}`;
}

describe('compliance', () => {
  it.each([
    ['TestBadContentTypes', { 'content-type': 'application/json' }],
    ['TestBadContentTypes', { 'content-type': 'image/png' }],
    ['TestBadContentEncodings', { 'content-encoding': 'gzip' }],
    ['TestBadContentEncodings', { 'content-encoding': 'deflate' }],
  ])('%s: %o is 415 though the body is damaged', async (_, headers) => {
    const { url } = await startIngest();
    const damaged = snappyjs.compress(request2(named('up', oneSample)));
    damaged[0] = 0x30;
    const all = { 'content-type': VERSION_2, 'content-encoding': 'snappy', ...headers };
    expect((await post(url, damaged, { headers: all })).status).toBe(415);
  });

  it('TestCorruptRequestBody, TestRW1ErrorHandling: a damaged first byte is 400', async () => {
    const { url } = await startIngest();
    const damaged = snappyjs.compress(request2(named('up', oneSample)));
    damaged[0] = 0x30;
    const reply = await post(url, damaged, { headers: { 'content-type': VERSION_2 } });
    expect([reply.status, written(reply)]).toEqual([400, '0/0/0']);
    const first = body([...label('__name__', 'up'), ...oneSample()]);
    first[0] = 0xff;
    expect((await post(url, first)).status).toBe(400);
  });

  it('TestRW1BasicCompatibility: an answer to version 1 counts nothing', async () => {
    const { url } = await startIngest();
    const reply = await post(url, body([...label('__name__', 'up'), ...oneSample()]));
    expect([reply.status, written(reply)]).toEqual([204, 'none/none/none']);
  });

  const name = ['__name__', 'up'] as const;
  const shapes: [string, Labels, string][] = [
    ['a name', [name], '204 1/0/0'],
    ['a name and labels', [name, ['a', '1'], ['b', '2']], '204 1/0/0'],
    ['labels in any order', [['b', '2'], name, ['a', '1']], '204 1/0/0'],
    [
      'dots and blanks',
      [
        ['__name__', 'resource.cpu usage'],
        ['host.name', 'x'],
      ],
      '204 1/0/0',
    ],
    [
      'Unicode',
      [
        ['__name__', '温度'],
        ['場所', '東京'],
      ],
      '204 1/0/0',
    ],
    ['no name', [['a', '1']], '400 0/0/0'],
    ['no labels', [], '400 0/0/0'],
  ];
  it.each(shapes)('TestSingleMetric: %s', async (_, labels, answer) => {
    for (const bits of Object.values(values)) {
      expect(await answerTo({ labels, fields: () => sample(NOW, bits) })).toBe(answer);
    }
  });

  it('TestMultipleMetrics: good, nameless and both', async () => {
    const good = ['a', 'b', 'c'].map((metric) => named(metric, oneSample));
    const nameless: Series2 = { labels: [['a', '1']], fields: oneSample };
    expect(await answerTo(...good, named('d', oneSample))).toBe('204 4/0/0');
    expect(await answerTo(nameless, nameless)).toBe('400 0/0/0');
    expect(await answerTo(...good, nameless)).toBe('400 3/0/0');
  });

  it.each<[string, Series2[], string]>([
    [
      'TestCounterWithCreatedTimestamp',
      [named('a_total', () => [...oneSample(), ...created])],
      '1/0/0',
    ],
    [
      'TestHistogramWithCreatedTimestamp',
      [named('h', () => [...all(() => 0), ...created])],
      '0/1/1',
    ],
    [
      'TestExemplarWithCreatedTimestamp',
      [named('a', (text) => [...oneSample(), ...exemplar2(trace(text)), ...created])],
      '1/0/1',
    ],
    [
      'TestMultipleExemplars',
      [
        named('a', (text) => [
          ...oneSample(),
          ...Array(3)
            .fill(exemplar2(trace(text)))
            .flat(),
        ]),
      ],
      '1/0/3',
    ],
    [
      'TestMetadataWithSamples, TestCounterMetadataWithCreatedTimestamp',
      [named('a', (text) => [...oneSample(), ...described(1)(text), ...created])],
      '1/0/0',
    ],
    [
      'TestMultipleMetadata',
      [named('a', described(1)), named('b', described(2)), named('c', described(3))],
      '0/0/0',
    ],
    ['TestMetadataWithComplexLabels', [named('a', described(1), [['x.y', 'é "z"\n']])], '0/0/0'],
    ['TestMetadataValidation: no texts', [named('a', () => metadata2(1, 0, 0))], '0/0/0'],
    ['TestMetadataValidation: nothing', [named('a', () => metadata2(0, 0, 0))], '0/0/0'],
    [
      'TestMetadataValidation: a long help',
      [named('a', (text) => metadata2(1, text('x'.repeat(10_000)), 0))],
      '0/0/0',
    ],
    ['TestHistograms: integers', [named('h', oneHistogram(exponential))], '0/1/0'],
    [
      'TestHistograms: floats',
      [named('h', oneHistogram({ ...exponential, isFloat: true }))],
      '0/1/0',
    ],
    ['TestHistograms: custom buckets', [named('h', oneHistogram(custom))], '0/1/0'],
    ['TestHistograms: NaN', [named('h', oneHistogram({ ...custom, sum: Number.NaN }))], '0/1/0'],
    ['TestHistograms: stale', [named('h', oneHistogram({ sumBits: values.StaleNaN }))], '0/1/0'],
    ['TestEmptyHistogram', [named('h', oneHistogram({ timestamp: NOW }))], '0/1/0'],
    [
      'TestMultipleHistograms',
      [named('h', oneHistogram(exponential)), named('g', oneHistogram(custom))],
      '0/2/0',
    ],
    ['TestHistogramWithMetadataAndExemplar', [named('h', all)], '0/1/1'],
    ['TestMultipleHistogramsWithMetadata', [named('h', all), named('g', all)], '0/2/2'],
    [
      'combined: many series',
      Array.from({ length: 50 }, (_, i) => named('a', oneSample, [['i', `${i}`]])),
      '50/0/0',
    ],
    ['combined: samples and histograms', [named('a', oneSample), named('h', all)], '1/1/1'],
    ['TestEdgeCaseCombinations: metadata only', [named('a', described(1))], '0/0/0'],
    [
      'TestEdgeCaseCombinations: exemplars only',
      [named('a', (text) => exemplar2(trace(text)))],
      '0/0/1',
    ],
  ])('%s', async (_, series, counts) => {
    expect(await answerTo(...series)).toBe(`204 ${counts}`);
  });

  it('TestHistograms: a count that does not match is 400', async () => {
    expect(await answerTo(named('h', oneHistogram({ ...exponential, count: 1 })))).toBe(
      '400 0/0/0',
    );
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7])('TestMetadata: type %s', async (type) => {
    expect(await answerTo(named('a', described(type)))).toBe('204 0/0/0');
  });

  it('TestExemplarTimestamps, TestExemplarValidation, TestExemplarSpecialValues', async () => {
    for (const timestamp of [NOW - 3_600_000, NOW - 60_000, NOW, 0]) {
      for (const bits of Object.values(values)) {
        const fields = (text: Reference) => [
          ...oneSample(),
          ...exemplar2(trace(text), { timestamp, bits }),
        ];
        // Cortex refuses one without a timestamp, and its sample with it: it is left out.
        const exemplars = timestamp === 0 ? 0 : 1;
        expect(await answerTo(named('a', fields))).toBe(`204 1/0/${exemplars}`);
      }
    }
    const bare = () => [...oneSample(), ...field(4, [0x11, ...fixed64(1n)])];
    expect(await answerTo(named('a', bare))).toBe('204 1/0/0');
  });
});
