import { describe, expect, it } from 'vitest';
import { REQUEST_OBJECT_BYTES_MAX } from '../../hub/expand/buckets.ts';
import { expandBatch } from '../../hub/expand/expansion.ts';
import { type OutgoingRequest, WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import { WriteRequest2Encoder } from '../../proto/remote-write/encoder-2.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { exemplarBytes, histogramBytes } from '../proto/objects/columns-fixture.ts';
import { field } from '../proto/wire-fixture.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { decodeWhole1, decodeWhole2, type WholeSeries } from '../tools/whole-remote-write.ts';
import { appendSeries, newDictionary, pick } from './series-fixture.ts';

const SERIES = 30;
const ROWS = 3000;

/** Rows of random series and kinds; timestamps are row numbers, so none is alike. */
function randomColumns(seed: string): SampleColumns {
  const random = seededRandom(seed);
  const columns = new SampleColumns(0);
  for (let row = 0; row < ROWS; row++) {
    // The last series have nothing but exemplars.
    const id = pick(random, SERIES);
    const kind = id >= SERIES - 2 ? 9 : pick(random, 10);
    if (kind < 6) columns.push(id, row, row, 0x7ff0_0000);
    else if (kind < 8) columns.pushObject('histogram', id, row, histogramBytes(3, 1, row % 60));
    else columns.pushObject('exemplar', id, row, exemplarBytes(String(row)));
    if (kind < 8) columns.setStart(row, id % 2 === 0 ? 0 : row + 1);
  }
  return columns;
}

function requestsOf(columns: SampleColumns, separateReplicas = true): OutgoingRequest[] {
  const copy = newDictionary();
  for (let id = 0; id < SERIES; id++) {
    const labels = { __name__: 'up', id: String(id) };
    const replica = { __name__: 'up', __replica__: `r${id % 2}`, cluster: 'x', id: String(id) };
    appendSeries(copy, 'a', id % 3 === 0 ? labels : replica);
  }
  const batch = { tenant: 'a', named: 'a', columns, mayBeRedelivered: false };
  const options = { lanes: 3, samplesPerRequestMax: 100, separateReplicas };
  const expansion = expandBatch(batch, copy, options);
  if (expansion.kind !== 'requests') throw new Error(expansion.kind);
  return expansion.requests;
}

function laneOf(id: number): number {
  const columns = new SampleColumns(0);
  columns.push(id, 1, 0, 0);
  return requestsOf(columns)[0]!.lane;
}

const VERSIONS = [
  ['1.0', () => new WriteRequestEncoder({ startTimestamps: true }), decodeWhole1],
  ['2.0', () => new WriteRequest2Encoder(), decodeWhole2],
] as const;

describe.each(VERSIONS)(
  'a batch of floats, histograms and exemplars in version %s',
  (_, create, decode) => {
    const encoder = create();
    const bodiesOf = (requests: readonly OutgoingRequest[]): WholeSeries[][] =>
      requests.map((request) => decode(request.encode(encoder, 0, request.count)));
    const label = ({ labels }: WholeSeries, name: string) => labels[labels.indexOf(name) + 1];

    it('arrives whole, each kind once and every series in its order', () => {
      const columns = randomColumns('objects');
      const requests = requestsOf(columns);
      const arrived = new Set<number>();
      const newest = new Map<string, number>();
      for (const [at, body] of bodiesOf(requests).entries()) {
        const times = body.flatMap((series) => {
          const samples = [...series.samples, ...series.histograms] as { timestamp: string }[];
          for (const [kind, list] of [
            ['sample', samples],
            ['exemplar', series.exemplars],
          ] as const) {
            for (const { timestamp = '0' } of list) {
              const key = `${kind} ${label(series, 'id')}`;
              expect(Number(timestamp)).toBeGreaterThan(newest.get(key) ?? -1);
              newest.set(key, Number(timestamp));
            }
          }
          return [...samples, ...series.exemplars].map(({ timestamp = '0' }) => Number(timestamp));
        });
        for (const time of times) arrived.add(time);
        expect(times).toHaveLength(requests[at]!.count);
        expect(times.length).toBeLessThanOrEqual(100);
      }
      expect(arrived.size).toBe(ROWS);
    });

    it('keeps bits, counts, trace ids and start timestamps with their rows', () => {
      for (const series of bodiesOf(requestsOf(randomColumns('bits'))).flat()) {
        const start = (row: string) =>
          Number(label(series, 'id')) % 2 === 0 ? '0' : `${+row + 1}`;
        for (const { timestamp = '0', value, startTimestamp = '0' } of series.samples) {
          expect(BigInt(value)).toBe((0x7ff0_0000n << 32n) | BigInt(timestamp));
          expect(startTimestamp).toBe(start(timestamp));
        }
        for (const { timestamp = '0', countInt, startTimestamp = '0' } of series.histograms) {
          expect(Number(countInt ?? 0)).toBe(Number(timestamp) % 60);
          expect(startTimestamp).toBe(start(String(timestamp)));
        }
        for (const { timestamp = '0', labels } of series.exemplars) {
          expect(labels).toEqual(['trace_id', timestamp]);
        }
      }
    });

    it('never mixes floats and histograms in a TimeSeries, nor replicas in a body', () => {
      for (const body of bodiesOf(requestsOf(randomColumns('mix')))) {
        expect(new Set(body.map((series) => label(series, '__replica__'))).size).toBe(1);
        for (const { samples, histograms } of body) {
          expect(Math.min(samples.length, histograms.length)).toBe(0);
        }
      }
    });

    it('never has a float behind a histogram of its series in a body', () => {
      for (const body of bodiesOf(requestsOf(randomColumns('falls')))) {
        const withHistograms = new Set<string | undefined>();
        for (const series of body) {
          if (series.histograms.length > 0) withHistograms.add(label(series, 'id'));
          else if (series.samples.length > 0) {
            expect(withHistograms).not.toContain(label(series, 'id'));
          }
        }
      }
    });

    it('has exemplars beside a sample of their series, and those without one apart', () => {
      const bodies = bodiesOf(requestsOf(randomColumns('joined')));
      const isLone = ({ samples, histograms }: WholeSeries) =>
        samples.length + histograms.length === 0;
      const apart = bodies.filter((body) => body.every(isLone));
      expect(apart.length).toBeGreaterThan(0);
      for (const series of apart.flat()) {
        expect(Number(label(series, 'id'))).toBeGreaterThanOrEqual(SERIES - 2);
      }
      for (const body of bodies.filter((some) => !apart.includes(some))) {
        for (const [at, series] of body.entries()) {
          if (!isLone(series)) continue;
          // Of version 1.0 behind a histogram, see WriteEncoder.
          expect(encoder.joinsExemplars).toBe(false);
          expect(body[at - 1]?.histograms).not.toEqual([]);
          expect(body[at - 1]?.labels).toEqual(series.labels);
        }
      }
    });

    it('can be cut anywhere', () => {
      for (const request of requestsOf(randomColumns('cut')).slice(0, 4)) {
        const { count } = request;
        const times = (from: number, to: number) =>
          decode(request.encode(encoder, from, to)).flatMap(({ samples, histograms, exemplars }) =>
            [...samples, ...histograms, ...exemplars].map(({ timestamp }) =>
              Number(timestamp ?? 0),
            ),
          );
        const sorted = (some: number[]) => some.sort((one, other) => one - other);
        const all = sorted(times(0, count));
        for (let at = 1; at < count; at++) {
          expect(sorted([...times(0, at), ...times(at, count)])).toEqual(all);
        }
      }
    });
  },
);

describe('series that turn from histograms to floats', () => {
  it('are cut once where they turn together, and not at all the other way round', () => {
    const columns = new SampleColumns(0);
    const histogramOf = (id: number, count: number) =>
      columns.pushObject('histogram', id, columns.count, histogramBytes(3, 1, count));
    // All in one lane and group.
    const ids = [0, 3, 6, 9, 12].filter((id) => laneOf(id) === laneOf(0));
    for (const id of ids) histogramOf(id, 1);
    for (const id of ids) columns.push(id, columns.count, 0, 0);
    for (const id of ids) histogramOf(id, 2);
    const counts = requestsOf(columns).map(({ count }) => count);
    expect(counts).toEqual([ids.length, ids.length * 2]);
  });
});

describe('a batch with nothing but exemplars', () => {
  it('is written all the same', () => {
    const columns = new SampleColumns(0);
    columns.pushObject('exemplar', 3, 1, exemplarBytes('x'));
    const [request] = requestsOf(columns);
    expect(request?.isExemplar(0)).toBe(true);
    expect(decodeWhole2(request!.encode(new WriteRequest2Encoder(), 0, 1))).toMatchObject([
      { samples: [], histograms: [], exemplars: [{ labels: ['trace_id', 'x'] }] },
    ]);
  });
});

describe('more exemplars behind one sample than a request may hold', () => {
  it('are cut all the same', () => {
    const columns = new SampleColumns(0);
    columns.push(0, 1, 1, 0);
    for (let at = 0; at < 250; at++) columns.pushObject('exemplar', 0, at, exemplarBytes('x'));
    expect(requestsOf(columns).map(({ count }) => count)).toEqual([100, 100, 51]);
  });
});

describe('more exemplars than a request may hold, behind a sample that came after them', () => {
  it('go behind it, and no series changes its order', () => {
    const columns = new SampleColumns(0);
    for (let at = 0; at < 250; at++) columns.pushObject('exemplar', 0, at, exemplarBytes('x'));
    // On the same lane as series 0.
    const other = [6, 9, 12, 15, 18, 21, 24, 27].find((id) => isOnLaneOf(0, id))!;
    for (const [id, time] of [other, 0, other].entries().map(([at, id]) => [id, 1000 + at])) {
      columns.push(id!, time!, 0, 0);
    }
    const times = requestsOf(columns)
      .flatMap((request) =>
        decodeWhole2(request.encode(new WriteRequest2Encoder(), 0, request.count)),
      )
      .flatMap(({ samples, exemplars }) =>
        [...samples, ...exemplars].map(({ timestamp }) => Number(timestamp ?? 0)),
      );
    const exemplars = Array.from({ length: 250 }, (_, at) => at);
    expect(times).toEqual([1000, 1001, ...exemplars, 1002]);
  });

  function isOnLaneOf(one: number, other: number): boolean {
    const columns = new SampleColumns(0);
    for (const id of [one, other]) columns.push(id, 1, 0, 0);
    return requestsOf(columns).length === 1;
  }
});

describe('requests with large histograms', () => {
  it('are cut by bytes as well, each histogram once and in order', () => {
    const columns = new SampleColumns(0);
    const large = Uint8Array.from(field(30, new Uint8Array(600_000)));
    for (let row = 0; row < 20; row++) columns.pushObject('histogram', 1, row + 1, large);
    const requests = requestsOf(columns);
    const times = requests.map((request) =>
      decodeWhole1(request.encode(new WriteRequestEncoder(), 0, request.count)).flatMap(
        ({ histograms }) => histograms.map(({ timestamp }) => Number(timestamp)),
      ),
    );
    expect(times.flat()).toEqual(Array.from({ length: 20 }, (_, row) => row + 1));
    const most = Math.floor(REQUEST_OBJECT_BYTES_MAX / large.length);
    expect(Math.max(...times.map(({ length }) => length))).toBe(most);
  });
});
