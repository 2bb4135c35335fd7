import { compress } from 'snappyjs';
import { afterEach, describe, expect, it } from 'vitest';
import { WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import { labelBytes } from '../hub/series-fixture.ts';
import {
  type CheckingDestination,
  type CheckingDestinationOptions,
  startCheckingDestination,
} from './checking-destination.ts';

let destination: CheckingDestination;

afterEach(() => destination.close());

async function start(options?: CheckingDestinationOptions): Promise<void> {
  destination = await startCheckingDestination(options);
}

const UP = { __name__: 'up' };
const DOWN = { __name__: 'down' };
const NAME_OF_UP = '{__name__="up"}';

type Row = [labels: Record<string, string>, timestamp: number, low: number, high: number];

function bodyOf(rows: readonly Row[]): Uint8Array {
  const encoder = new WriteRequestEncoder();
  for (const [labels, timestamp, low, high] of rows) {
    const bytes = labelBytes(labels);
    encoder.series(bytes, 0, bytes.length);
    encoder.sample(timestamp, low, high);
  }
  return encoder.finish();
}

const HEADERS = {
  'content-encoding': 'snappy',
  'content-type': 'application/x-protobuf',
  'x-prometheus-remote-write-version': '0.1.0',
  'x-scope-orgid': 'a',
};

async function send(body: Uint8Array, headers: Record<string, string> = HEADERS) {
  const answer = await fetch(destination.url, { method: 'POST', headers, body: body as never });
  return { status: answer.status, text: await answer.text() };
}

function timestamps(): number[] {
  return (destination.samples('a').get(NAME_OF_UP) ?? []).map(({ timestamp }) => timestamp);
}

describe('the checking destination', () => {
  it('keeps the bits of a stale marker and of -0, and a negative timestamp', async () => {
    await start();
    const body = bodyOf([
      [UP, -5, 2, 0x7ff0_0000],
      [UP, 6, 0, 0x8000_0000],
    ]);
    expect((await send(body)).status).toBe(200);
    expect(destination.samples('a')).toEqual(
      new Map([
        [
          NAME_OF_UP,
          [
            { timestamp: -5, bits: 0x7ff0_0000_0000_0002n },
            { timestamp: 6, bits: 0x8000_0000_0000_0000n },
          ],
        ],
      ]),
    );
    expect(destination.samples('b').size).toBe(0);
  });

  it('notes what comes out of order, and what comes twice', async () => {
    await start();
    for (const [timestamp, low] of [
      [2, 0],
      [1, 0],
      [2, 0],
      [2, 1],
    ] as const) {
      await send(bodyOf([[UP, timestamp, low, 0]]));
    }
    expect(destination.repeated).toBe(1);
    expect(destination.outOfOrder.map(({ timestamp, newest }) => [timestamp, newest])).toEqual([
      [1, 2],
      [2, 2],
    ]);
  });

  it('stores the rest as Cortex does, and names the first', async () => {
    await start({ semantics: 'cortex' });
    await send(bodyOf([[UP, 5, 0, 0]]));
    const answer = await send(
      bodyOf([
        [UP, 4, 0, 0],
        [UP, 5, 1, 0],
        [UP, 6, 0, 0],
        [DOWN, 1, 0, 0],
      ]),
    );
    expect(answer.status).toBe(400);
    expect(answer.text).toMatch(/addr=.*user=a: err: out of order sample. timestamp=4/);
    expect(timestamps()).toEqual([5, 6]);
    expect(destination.samples('a').size).toBe(2);
    expect((await send(bodyOf([[UP, 6, 0, 0]]))).status).toBe(200);
  });

  it('stores nothing as Prometheus does', async () => {
    await start({ semantics: 'prometheus' });
    expect((await send(bodyOf([[UP, 5, 0, 0]]))).status).toBe(204);
    const rows: Row[] = [
      [DOWN, 1, 0, 0],
      [UP, 4, 0, 0],
    ];
    expect((await send(bodyOf(rows))).status).toBe(400);
    expect(destination.samples('a').size).toBe(1);
  });

  it('answers as it is told, and then as usual', async () => {
    await start();
    destination.answerNext({ status: 503 }, { status: 500, stores: true }, { ending: 'cut' });
    expect((await send(bodyOf([[UP, 1, 0, 0]]))).status).toBe(503);
    expect((await send(bodyOf([[UP, 2, 0, 0]]))).status).toBe(500);
    await expect(send(bodyOf([[UP, 3, 0, 0]]))).rejects.toThrow();
    destination.answerAllWith(429);
    expect((await send(bodyOf([[UP, 4, 0, 0]]))).status).toBe(429);
    destination.answerAllWith(undefined);
    expect((await send(bodyOf([[UP, 5, 0, 0]]))).status).toBe(200);
    expect(timestamps()).toEqual([2, 5]);
    expect(destination.requests.map(({ status }) => status)).toEqual([503, 500, 0, 429, 200]);
  });

  it('notes what no sender may do', async () => {
    await start();
    const ha = (replica: string) => ({ __name__: 'up', __replica__: replica, cluster: 'x' });
    await send(bodyOf([[UP, 1, 0, 0]]), { ...HEADERS, 'content-type': 'text/plain' });
    await send(bodyOf([[{ job: 'x', __name__: 'up' }, 1, 0, 0]]));
    await send(
      bodyOf([
        [ha('a'), 1, 0, 0],
        [ha('b'), 1, 0, 0],
      ]),
    );
    await send(compress(Uint8Array.of(0x0a, 0)));
    await send(Uint8Array.of(0xff));
    expect(destination.violations).toMatchObject([
      'content-type: text/plain',
      'labels out of order: job,__name__',
      'replicas mixed in one body: x/a and x/b',
      'a series without labels',
      expect.stringMatching(/Snappy/),
    ]);
  });
});
