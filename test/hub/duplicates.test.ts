import { beforeEach, expect, test } from 'vitest';
import type { Post } from '../../hub/write/post.ts';
import { decodeExactly, labelNotation } from '../tools/exact-remote-write.ts';
import { appendSeries, columnsOf, newDictionary } from './series-fixture.ts';
import { type Rig, requestsOf, rig } from './write-fixture.ts';

const MINUTE_MS = 60_000;
const { signal } = new AbortController();

/** An HA tracker for which replica a is elected. */
const post: Post = async ({ body }) => {
  const isTurnedAway = decodeExactly(body).some(({ labels }) =>
    labelNotation(labels).includes('__replica__="b"'),
  );
  const words = 'replicas did not match, rejecting sample: replica=b, elected=a';
  return { kind: 'answer', status: isTurnedAway ? 202 : 200, headers: {}, body: words };
};

let tools: Rig;
let now: number;
beforeEach(() => {
  tools = rig('cortex', post);
  now = tools.clock.now();
});

/** What becomes of samples of a replica so many minutes before now. */
async function deliver(replica: string, ...minutes: number[]) {
  const copy = newDictionary();
  const id = appendSeries(copy, 'a', { __name__: 'up', __replica__: replica, cluster: 'k' });
  const rows = minutes.map((ago) => [id, now - ago * MINUTE_MS] as const);
  const [request] = requestsOf(copy, columnsOf(rows));
  return await tools.deliver(request!, { cancel: signal, end: signal });
}

test('a duplicate of the future says nothing of what is missing until then', async () => {
  await deliver('a', 1, 0.5, 0);
  const result = await deliver('b', 1, -60);
  expect(result).toMatchObject({ newestMs: tools.clock.now(), settlement: { deduplicated: 2 } });
});

test('what goes without the label of its replica counts as delivered', async () => {
  await deliver('a', 60, 55, 50, 20, 15);
  const result = await deliver('b', 55, 35);
  expect(result).toMatchObject({
    newestMs: now - 35 * MINUTE_MS,
    settlement: { deduplicated: 1, accepted: 1 },
  });
});

test('what would shut out older samples of the elected replica does not', async () => {
  await deliver('a', 60);
  const result = await deliver('b', 60, 20);
  expect(result).toMatchObject({
    newestMs: now - 60 * MINUTE_MS,
    settlement: { deduplicated: 1, refused: new Map([['ha_gap', 1]]) },
  });
});
