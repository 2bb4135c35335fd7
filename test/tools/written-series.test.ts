import snappy from 'snappyjs';
import { describe, expect, test } from 'vitest';
import { RequestV2, WriteRequest } from './series-messages.ts';
import { decodeWritten, storedFrom } from './written-series.ts';

const one = { low: 1, high: 0 };
const staleMarker = { low: 2, high: 0x7ff0_0000 };
const labels = [{ name: '__name__', value: 'a' }];
const histograms = [{ countInt: 0, zeroCountInt: 0, sum: one, timestamp: 1000 }];
const exemplarLabels = [{ name: 'trace_id', value: 'x' }];
const version1 = 'application/x-protobuf';
const version2 = 'application/x-protobuf;proto=io.prometheus.write.v2.Request';

function body1(timeseries: object[]): Uint8Array {
  return snappy.compress(WriteRequest.encode({ timeseries, metadata: [{}] }).finish());
}

describe('decodeWritten', () => {
  test('reads version 1.0', () => {
    const exemplars = [{ labels: exemplarLabels, value: one, timestamp: 1000 }];
    const samples = [{ value: staleMarker, timestamp: 1000 }];
    const body = body1([{ labels, samples, exemplars, histograms }]);
    expect(decodeWritten(body, version1)).toMatchObject({
      version: 1,
      metadataCount: 1,
      timeSeries: [
        {
          series: '{__name__="a"}',
          samples: [{ timestamp: 1000, bits: 0x7ff0_0000_0000_0002n }],
          exemplars: [{ timestamp: 1000, value: '{trace_id="x"} 0x0000000000000001' }],
          histograms: [{ timestamp: 1000 }],
        },
      ],
    });
  });

  test('reads version 2.0, its symbols, metadata and start times', () => {
    const symbols = ['', '__name__', 'a', 'trace_id', 'x', 'helps', 'seconds'];
    const exemplars = [{ labelsRefs: [3, 4], value: one, timestamp: 1000 }];
    const metadata = { type: 1, helpRef: 5, unitRef: 6 };
    const timeseries = [
      { labelsRefs: [1, 2], exemplars, histograms, metadata, createdTimestamp: 7 },
    ];
    const body = snappy.compress(RequestV2.encode({ symbols, timeseries }).finish());
    expect(decodeWritten(body, version2)).toMatchObject({
      version: 2,
      timeSeries: [
        {
          series: '{__name__="a"}',
          exemplars: [{ timestamp: 1000, value: '{trace_id="x"} 0x0000000000000001' }],
          histograms: [{ timestamp: 1000 }],
          metadata: { type: 1, help: 'helps', unit: 'seconds' },
          startTimestamps: 1,
        },
      ],
    });
  });

  test('refuses a reference to a symbol that is not there', () => {
    const timeseries = [{ labelsRefs: [1, 2] }];
    const body = snappy.compress(RequestV2.encode({ symbols: [''], timeseries }).finish());
    expect(() => decodeWritten(body, version2)).toThrow('no symbols for 1,2');
  });
});

test('a float stale marker in a series of histograms ends it as a histogram', () => {
  const stale = { labels, samples: [{ value: staleMarker, timestamp: 2000 }] };
  const bodies = [body1([{ labels, histograms }]), body1([stale])].map((body) =>
    decodeWritten(body, version1),
  );
  const { samples, histograms: stored } = storedFrom(bodies, 0, 5000);
  expect(samples.size).toBe(0);
  expect(stored.get('{__name__="a"}')?.map(({ value }) => value)).toEqual([
    expect.stringContaining('schema 0'),
    'stale',
  ]);
  expect(storedFrom(bodies, 0, 1999).histograms.get('{__name__="a"}')).toHaveLength(1);
});
