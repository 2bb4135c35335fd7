import { uncompress } from 'snappyjs';
import { expect, test } from 'vitest';
import type { Post, PostResult } from '../../hub/write/post.ts';
import { appendSeries, columnsOf, newDictionary } from './series-fixture.ts';
import { type Rig, requestsOf, rig } from './write-fixture.ts';

const MINUTE_MS = 60_000;
const NOW = 1_700_000_000_000;
const LOST: PostResult = {
  kind: 'failed',
  message: 'no answer',
  timedOut: true,
  mayHaveArrived: true,
};

function answer(status: number, body = ''): PostResult {
  return { kind: 'answer', status, body, headers: {} };
}

const copy = newDictionary();
const ids = {
  a: appendSeries(copy, 'a', { __name__: 'up', __replica__: 'replica-a', cluster: 'k' }),
  b: appendSeries(copy, 'a', { __name__: 'up', __replica__: 'replica-b', cluster: 'k' }),
};

/** Writes samples of a replica, so many minutes before now; a is elected. */
function send(
  tools: Rig,
  replica: 'a' | 'b',
  minutes: readonly number[],
  cancel = new AbortController(),
) {
  const rows = minutes.map((ago) => [ids[replica], NOW - ago * MINUTE_MS] as const);
  const signals = { cancel: cancel.signal, end: new AbortController().signal };
  return tools.deliver(requestsOf(copy, columnsOf(rows))[0]!, signals);
}

/** @param of what the destination answers to b, and to samples without a replica */
function electingA(of: {
  b?: () => Promise<PostResult | undefined>;
  none?: () => Promise<PostResult>;
}): Post {
  return async ({ body }) => {
    const text = Buffer.from(uncompress(body)).toString('latin1');
    if (text.includes('replica-a')) return answer(200);
    if (!text.includes('replica-b')) return (await of.none?.()) ?? answer(200);
    const turned = 'replicas did not match, rejecting sample: replica=replica-b, elected=replica-a';
    return (await of.b?.()) ?? answer(202, turned);
  };
}

test('samples in a gap whose own request is given up have to come again', async () => {
  const cancel = new AbortController();
  const none = async () => {
    cancel.abort();
    return answer(503);
  };
  const tools = rig('cortex', electingA({ none }));
  await send(tools, 'a', [60, 0]);
  expect(await send(tools, 'b', [30, 0], cancel)).toEqual({ kind: 'cancelled' });
});

test('samples in a gap that an attempt before may have stored are no loss when they are refused', async () => {
  let attempts = 0;
  const b = async () => (attempts++ === 0 ? LOST : undefined);
  const none = async () => answer(400, 'err: out of order sample. timestamp=1');
  const tools = rig('cortex', electingA({ b, none }));
  await send(tools, 'a', [60, 0]);
  const result = await send(tools, 'b', [30]);
  expect(result).toMatchObject({ settlement: { redelivered: 1 } });
  expect(tools.refused).toEqual([]);
});

test('samples wait for five minutes altogether, whatever becomes of some of them meanwhile', async () => {
  let ago = 60;
  const b = async () => {
    await send(tools, 'a', [ago]);
    ago -= 0.4;
    return undefined;
  };
  const tools = rig('cortex', electingA({ b }));
  const result = await send(
    tools,
    'b',
    Array.from({ length: 50 }, (_, at) => 60 - at - 0.5),
  );
  expect(tools.clock.slept.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(300_000);
  expect(result).toMatchObject({ kind: 'settled' });
});
