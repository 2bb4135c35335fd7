import { describe, expect, it } from 'vitest';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { histogramBytes } from '../proto/objects/columns-fixture.ts';
import { decodeWhole1 } from '../tools/whole-remote-write.ts';
import { appendSeries, newDictionary } from './series-fixture.ts';
import { requestsOf, rig } from './write-fixture.ts';

describe('a Prometheus that has native histograms disabled', () => {
  it('gets all floats, and no lane waits for its histograms', async () => {
    const copy = newDictionary();
    const columns = new SampleColumns();
    for (let series = 0; series < 20; series++) {
      const id = appendSeries(copy, 'a', { __name__: 'latency', series: String(series) });
      if (series % 5 === 2) columns.pushObject('histogram', id, series, histogramBytes(1, 1, 1));
      else columns.push(id, series, 0, 0);
    }
    const stored: string[] = [];
    const { deliver, clock, refused } = rig(
      'prometheus',
      async ({ body }) => {
        const series = decodeWhole1(body);
        if (series.some(({ histograms }) => histograms.length > 0)) {
          const disabled = 'native histograms are disabled\n';
          return { kind: 'answer', status: 500, headers: {}, body: disabled };
        }
        stored.push(...series.flatMap(({ samples }) => samples.map((one) => one.timestamp ?? '0')));
        return { kind: 'answer', status: 204, headers: {}, body: '' };
      },
      { setAsideAfterMs: 3_600_000 },
    );
    const { signal } = new AbortController();
    const result = await deliver(requestsOf(copy, columns)[0]!, { cancel: signal, end: signal });
    expect(result).toMatchObject({
      settlement: { accepted: 16, refused: new Map([['set_aside', 4]]) },
    });
    expect(stored).toHaveLength(16);
    expect(clock.slept).toEqual([]);
    expect(refused.map(({ message }) => message)).toContain('500 native histograms are disabled');
  });
});
