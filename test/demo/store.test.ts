import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startStore } from '../../demo/store/server.ts';
import { encodeWriteRequest, type WrittenSeries } from '../../demo/write-request.ts';
import { WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import { labelBytes } from '../hub/series-fixture.ts';
import { exemplarBytes, histogramBytes } from '../proto/objects/columns-fixture.ts';

const T0 = 1_800_000_000_000;
const ONE: [number, number] = [0, 0x3ff00000];
const TWO: [number, number] = [0, 0x40000000];
const STALE: [number, number] = [2, 0x7ff00000];

let folder: string;
let store: Awaited<ReturnType<typeof startStore>>;
let nowMs = T0;

function start() {
  const clock = { now: () => nowMs, elapsedMs: () => nowMs, sleep: () => Promise.resolve() };
  const log = pino({ level: 'silent' });
  return startStore({ file: join(folder, 'store.db'), port: 0, clock, log });
}

beforeEach(async () => {
  nowMs = T0;
  folder = mkdtempSync(join(tmpdir(), 'starferry-store-'));
  store = await start();
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

function series(labels: Record<string, string>, ...samples: [number, [number, number]][]) {
  return {
    labels: Object.entries(labels),
    samples: samples.map(([seconds, [low, high]]) => [T0 + seconds * 1000, low, high]),
  } as WrittenSeries;
}

async function push(written: WrittenSeries[], headers: Record<string, string> = {}) {
  return pushBytes(encodeWriteRequest(written), { 'X-Scope-OrgID': 'anonymous', ...headers });
}

async function pushBytes(body: Uint8Array, headers: Record<string, string>) {
  const response = await fetch(`${store.url}/api/v1/push`, { method: 'POST', headers, body });
  return { status: response.status, text: await response.text() };
}

async function ask(path: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${store.url}/api/v1/${path}`, { headers });
  return { status: response.status, body: (await response.json()) as unknown };
}

async function valuesAt(seconds: number, selector: string): Promise<unknown> {
  const query = new URLSearchParams({ query: selector, time: String(T0 / 1000 + seconds) });
  const { body } = await ask(`query?${query}`);
  return (body as { data: { result: { value: unknown[] }[] } }).data.result.map(
    ({ value }) => value[1],
  );
}

async function rangeOf(selector: string, start: number, end: number, step: string) {
  const query = new URLSearchParams({
    query: selector,
    start: String(T0 / 1000 + start),
    end: String(T0 / 1000 + end),
    step,
  });
  const { body } = await ask(`query_range?${query}`);
  const { result } = (body as { data: { result: { values: [number, string][] }[] } }).data;
  return result.map(({ values }) => values.map(([time, value]) => [time - T0 / 1000, value]));
}

describe('a push', () => {
  it('is answered 200 with an empty body and can be queried in the shape of Prometheus', async () => {
    expect(await push([series({ __name__: 'up', job: 'a', none: '' }, [0, ONE])])).toEqual({
      status: 200,
      text: '',
    });
    expect(await ask(`query?query=up&time=${T0 / 1000}`)).toEqual({
      status: 200,
      body: {
        status: 'success',
        data: {
          resultType: 'vector',
          result: [{ metric: { __name__: 'up', job: 'a' }, value: [T0 / 1000, '1'] }],
        },
      },
    });
  });

  it('is answered 401 without a tenant, and 400 when it is garbage', async () => {
    const body = encodeWriteRequest([series({ __name__: 'up' }, [0, ONE])]);
    expect((await pushBytes(body, {})).status).toBe(401);
    const tenant = { 'X-Scope-OrgID': 'anonymous' };
    expect((await pushBytes(Buffer.from('garbage'), tenant)).status).toBe(400);
    expect((await pushBytes(Buffer.from([3, 8, 0xff, 0xff, 0xff]), tenant)).status).toBe(400);
    const declares4GiB = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]);
    expect((await pushBytes(declares4GiB, tenant)).status).toBe(400);
  });

  it('with an older sample is answered 400, while the rest of it is stored', async () => {
    await push([series({ __name__: 'a' }, [10, ONE])]);
    const answer = await push([
      series({ __name__: 'a' }, [5, TWO], [20, TWO]),
      series({ __name__: 'b' }, [5, TWO]),
    ]);
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('out of order');
    expect(await rangeOf('a', 5, 20, '5')).toEqual([
      [
        [10, '1'],
        [15, '1'],
        [20, '2'],
      ],
    ]);
    expect(await valuesAt(5, 'b')).toEqual(['2']);
  });

  it('with native histograms and exemplars is taken, of which it keeps nothing', async () => {
    const encoder = new WriteRequestEncoder();
    const labels = labelBytes({ __name__: 'latency' });
    encoder.series(labels, 0, labels.length);
    encoder.histogram(T0, histogramBytes(3, 1, 9));
    encoder.exemplar(T0, exemplarBytes('x'));
    const up = labelBytes({ __name__: 'up' });
    encoder.series(up, 0, up.length);
    encoder.sample(T0, ...ONE);
    const body = Buffer.from(encoder.finish());
    const headers = { 'X-Scope-OrgID': 'anonymous' };
    expect(await pushBytes(body, headers)).toEqual({ status: 200, text: '' });
    expect(await valuesAt(0, '{__name__=~".+"}')).toEqual(['1']);
  });

  it('may repeat the newest sample of a series, but not change it', async () => {
    await push([series({ __name__: 'a' }, [10, STALE])]);
    expect((await push([series({ __name__: 'a' }, [10, STALE])])).status).toBe(200);
    const answer = await push([series({ __name__: 'a' }, [10, ONE])]);
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('duplicate sample for timestamp');
  });

  it('with a series without labels stores nothing', async () => {
    const answer = await push([series({ __name__: 'a' }, [0, ONE]), series({}, [0, ONE])]);
    expect(answer).toEqual({ status: 400, text: 'empty labels found\n' });
    expect(await valuesAt(0, 'a')).toEqual([]);
  });

  it('survives a restart', async () => {
    await push([series({ __name__: 'a' }, [0, ONE])]);
    await store.close();
    store = await start();
    expect(await valuesAt(0, 'a')).toEqual(['1']);
    expect((await push([series({ __name__: 'a' }, [-1, ONE])])).status).toBe(400);
  });

  it('makes room: what is older than two hours goes, and its series with it', async () => {
    await push([series({ __name__: 'old' }, [0, ONE]), series({ __name__: 'kept' }, [0, ONE])]);
    nowMs = T0 + 7205_000;
    await push([series({ __name__: 'kept' }, [7200, TWO])]);
    const names = await ask('label/__name__/values');
    expect(names.body).toEqual({ status: 'success', data: ['kept'] });
    expect(await valuesAt(0, 'kept')).toEqual([]);
    expect(await valuesAt(7200, 'kept')).toEqual(['2']);
  });
});

describe('a query', () => {
  it('shows a sample for five minutes', async () => {
    await push([series({ __name__: 'a' }, [0, ONE])]);
    expect(await valuesAt(-1, 'a')).toEqual([]);
    expect(await valuesAt(299, 'a')).toEqual(['1']);
    expect(await valuesAt(300, 'a')).toEqual([]);
    expect(await rangeOf('a', 298, 301, '1')).toEqual([
      [
        [298, '1'],
        [299, '1'],
      ],
    ]);
  });

  it('ends a series at its stale marker', async () => {
    await push([series({ __name__: 'a' }, [0, ONE], [15, STALE], [40, TWO])]);
    expect(await valuesAt(14, 'a')).toEqual(['1']);
    expect(await valuesAt(15, 'a')).toEqual([]);
    expect(await rangeOf('a', 0, 40, '10s')).toEqual([
      [
        [0, '1'],
        [10, '1'],
        [40, '2'],
      ],
    ]);
  });

  it('prints values as Prometheus does', async () => {
    const written: [string, [number, number]][] = [
      ['inf', [0, 0x7ff00000]],
      ['minus_inf', [0, 0xfff00000]],
      ['nan', [1, 0x7ff80000]],
      ['minus_zero', [0, 0x80000000]],
      ['tenth', [0x9999999a, 0x3fb99999]],
    ];
    await push(written.map(([name, bits]) => series({ __name__: name }, [0, bits])));
    const printed = await Promise.all(written.map(([name]) => valuesAt(0, name)));
    expect(printed).toEqual([['+Inf'], ['-Inf'], ['NaN'], ['-0'], ['0.1']]);
  });

  it('takes the form that Grafana posts, and the sum that it tests with', async () => {
    await push([series({ __name__: 'a' }, [0, ONE])]);
    const post = async (query: string) => {
      const body = new URLSearchParams({ query, time: String(T0 / 1000) });
      const response = await fetch(`${store.url}/api/v1/query`, { method: 'POST', body });
      return (await response.json()) as { data: { resultType: string; result: unknown[] } };
    };
    expect((await post('a')).data.result).toHaveLength(1);
    expect((await post('1+1')).data).toEqual({ resultType: 'scalar', result: [T0 / 1000, '2'] });
  });

  it.each([
    'query?query=rate(a[5m])',
    'query',
    'query?query=a&time=noon',
    'query_range?query=a&start=1&end=2&step=0',
    'query_range?query=a&start=2&end=1&step=1',
    'query_range?query=a&start=1&step=1',
    'query_range?query=a&start=0&end=11001&step=1',
    'labels?match[]=a%2Bb',
  ])('%s is answered 400 with an error of Prometheus', async (path) => {
    const { status, body } = await ask(path);
    expect(status).toBe(400);
    expect(body).toEqual({ status: 'error', errorType: 'bad_data', error: expect.any(String) });
  });

  it('names labels and their values, of all series or of those selected', async () => {
    await push([
      series({ __name__: 'a', job: 'x', only_a: '1' }, [0, ONE]),
      series({ __name__: 'b', job: 'y' }, [0, ONE]),
    ]);
    const data = async (path: string) => ((await ask(path)).body as { data: unknown }).data;
    expect(await data('labels')).toEqual(['__name__', 'job', 'only_a']);
    expect(await data('label/job/values')).toEqual(['x', 'y']);
    expect(await data('labels?match[]=b')).toEqual(['__name__', 'job']);
    expect(await data('label/job/values?match[]=b')).toEqual(['y']);
    expect(await data('label/only_a/values')).toEqual(['1']);
    expect(await data('label/unknown/values')).toEqual([]);
  });

  it('sees one tenant only', async () => {
    await push([series({ __name__: 'a' }, [0, ONE])], { 'X-Scope-OrgID': 'other' });
    expect(await valuesAt(0, 'a')).toEqual([]);
    const { body } = await ask(`query?query=a&time=${T0 / 1000}`, { 'X-Scope-OrgID': 'other' });
    expect((body as { data: { result: unknown[] } }).data.result).toHaveLength(1);
  });
});
