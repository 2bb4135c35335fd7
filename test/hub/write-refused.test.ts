import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Destination } from '../../hub/write/destination.ts';
import type { Post } from '../../hub/write/post.ts';
import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import type { Refuse } from '../tools/checked-samples.ts';
import {
  type CheckingDestinationOptions,
  startCheckingDestination,
} from '../tools/checking-destination.ts';
import { decodeExactly } from '../tools/exact-remote-write.ts';
import { Workspace } from '../tools/workspace.ts';
import { appendSeries, columnsOf, newDictionary } from './series-fixture.ts';
import { requestsOf, rig } from './write-fixture.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace('write-refused');
});
afterEach(() => workspace.close());

/** A request with a sample for each timestamp, each of its own series; values are row numbers. */
function requestOf(timestamps: readonly number[], mayBeRedelivered = false): OutgoingRequest {
  const copy = newDictionary();
  const ids = timestamps.map((_, row) => appendSeries(copy, 'a', { __name__: `s${row}` }));
  const columns = columnsOf(timestamps.map((at, row) => [ids[row]!, at] as const));
  return requestsOf(copy, columns, { mayBeRedelivered })[0]!;
}

function signals(cancel = new AbortController()) {
  return { cancel: cancel.signal, end: new AbortController().signal };
}

/** A real sender before a real destination, which is a Cortex unless told otherwise. */
async function chain(options: CheckingDestinationOptions = {}) {
  const checking = await startCheckingDestination({ semantics: 'cortex', ...options });
  workspace.onClose(() => checking.close());
  const sender = new Destination({
    url: checking.url,
    tenantHeader: 'X-Scope-OrgID',
    timeoutMs: 5000,
    connectTimeoutMs: 5000,
    inFlightMax: 4,
    version: '0.0.0',
  });
  workspace.onClose(() => sender.close());
  const bodies: Uint8Array[] = [];
  const post: Post = (request) => {
    bodies.push(request.body);
    return sender.post(request);
  };
  return { checking, bodies, post };
}

/** Samples of a body: series name, timestamp, low half of the value. */
function rowsOf(body: Uint8Array): string[] {
  return decodeExactly(body).flatMap(({ labels, samples }) =>
    samples.map(({ timestamp, bits }) => `${labels[0]?.value} ${timestamp} ${bits & 0xffffn}`),
  );
}

const NO_SEARCH = { searchesPerMinute: 0 };

const refuseAt =
  (...guilty: number[]): Refuse =>
  (_tenant, _series, { timestamp }) =>
    guilty.includes(timestamp) ? `timestamp too new: ${timestamp} metric: "x"` : undefined;

describe('what a delivery leaves in the record', () => {
  it('is the whole request as it was sent where nothing is searched', async () => {
    const { bodies, post } = await chain({ refuse: refuseAt(3) });
    const { deliver, refused } = rig('cortex', post, NO_SEARCH);
    await deliver(requestOf([1, 2, 3, 4, 5]), signals());
    expect(refused).toEqual([
      {
        agent: 'sg',
        tenant: 'a',
        reason: 'too_new',
        message: expect.stringMatching(/^400 maxFailure .*timestamp too new: 3 metric: "x"$/),
        refused: 1,
        unknown: 4,
        body: bodies[0],
      },
    ]);
  });

  it('is exactly the guilty samples where a request is refused whole', async () => {
    const { checking, post } = await chain({
      semantics: 'prometheus',
      refuse: refuseAt(13, 14, 15, 30),
    });
    const { deliver, refused } = rig('prometheus', post);
    const timestamps = Array.from({ length: 40 }, (_, at) => at);
    await deliver(requestOf(timestamps), signals());
    expect(refused).toMatchObject([{ reason: 'too_new', refused: 4, unknown: 0 }]);
    expect(refused.map(({ body }) => rowsOf(body))).toEqual([
      ['s13 13 13', 's14 14 14', 's15 15 15', 's30 30 30'],
    ]);
    const stored = [...checking.samples('a').values()].flat();
    expect(stored).toHaveLength(36);
  });

  it('is each half for itself where the destination takes only half at once', async () => {
    const { post } = await chain({ samplesPerBodyMax: 2, refuse: refuseAt(1, 4) });
    const { deliver, refused } = rig('cortex', post, NO_SEARCH);
    await deliver(requestOf([1, 2, 3, 4]), signals());
    expect(refused.map(({ body, unknown }) => [rowsOf(body).length, unknown])).toEqual([
      [2, 1],
      [2, 1],
    ]);
  });

  it('is a sample that is too large for the destination', async () => {
    const { deliver, refused } = rig('cortex', (await chain({ samplesPerBodyMax: 0 })).post);
    await deliver(requestOf([1]), signals());
    expect(refused).toMatchObject([{ reason: 'too_large', message: '413', refused: 1 }]);
  });

  it('is nothing where all is stored, deduplicated or redelivered', async () => {
    const { checking, post } = await chain();
    const { deliver, refused } = rig('cortex', post);
    await deliver(requestOf([5, 6]), signals());
    await deliver(requestOf([1, 2], true), signals());
    checking.answerNext({ status: 202 });
    await deliver(requestOf([7, 8]), signals());
    expect(refused).toEqual([]);
  });

  it('is there before the samples count as settled', async () => {
    const { post } = await chain({ refuse: refuseAt(1) });
    const { promise, resolve } = Promise.withResolvers<void>();
    const tools = rig('cortex', post, { keeping: promise });
    let isSettled = false;
    const delivery = tools.deliver(requestOf([1]), signals()).then(() => {
      isSettled = true;
    });
    await expect.poll(() => tools.refused).toHaveLength(1);
    await new Promise((turn) => setImmediate(turn));
    expect(isSettled).toBe(false);
    resolve();
    await delivery;
  });

  it('is there although the rest of the request is given up', async () => {
    const { checking, post } = await chain({ refuse: refuseAt(1) });
    checking.answerNext({ status: 413 }, 'as usual');
    checking.answerAllWith(503);
    const cancel = new AbortController();
    const { deliver, refused, lines } = rig('cortex', post, NO_SEARCH);
    const delivery = deliver(requestOf([1, 2, 3, 4]), signals(cancel));
    await expect.poll(() => lines.map(({ key }) => key)).toContain('retry');
    cancel.abort();
    expect(await delivery).toEqual({ kind: 'cancelled' });
    expect(refused.map(({ body }) => rowsOf(body))).toEqual([['s0 1 0', 's1 2 1']]);
  });
});
