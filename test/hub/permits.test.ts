import { expect, test } from 'vitest';
import { limitedPost, permitLimits } from '../../hub/write/permits.ts';
import type { Post } from '../../hub/write/post.ts';

/** Posts that end when the test says so. */
function held(limits: { all: number; perTenant: number }) {
  const under: { name: string; end: () => void }[] = [];
  const started: string[] = [];
  const post: Post = ({ tenant, attempt }) =>
    new Promise((resolve) => {
      const name = `${tenant}${attempt}`;
      started.push(name);
      const end = () => resolve({ kind: 'answer', status: 200, headers: {}, body: '' });
      under.push({ name, end });
    });
  const limited = limitedPost(post, limits);
  const { signal } = new AbortController();
  const send = (tenant: string, attempt: number) =>
    void limited({ tenant, protocol: 'v1', body: new Uint8Array(), attempt, signal });
  const end = (name: string) => under.find((one) => one.name === name)!.end();
  return { send, started, end };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('the next request is of the tenant with the fewest under way, else the first that asked', async () => {
  const { send, started, end } = held({ all: 3, perTenant: 3 });
  for (const attempt of [1, 2, 3, 4, 5]) send('a', attempt);
  send('b', 1);
  send('b', 2);
  await turn();
  expect(started).toEqual(['a1', 'a2', 'a3']);
  end('a1');
  await turn();
  end('a2');
  await turn();
  end('a3');
  await turn();
  expect(started).toEqual(['a1', 'a2', 'a3', 'b1', 'a4', 'a5']);
});

test('one tenant leaves room for others, and what it leaves is used at once', async () => {
  const { send, started, end } = held({ all: 3, perTenant: 2 });
  for (const attempt of [1, 2, 3]) send('a', attempt);
  await turn();
  expect(started).toEqual(['a1', 'a2']);
  send('b', 1);
  send('b', 2);
  await turn();
  expect(started).toEqual(['a1', 'a2', 'b1']);
  end('b1');
  await turn();
  expect(started).toEqual(['a1', 'a2', 'b1', 'b2']);
  end('a1');
  await turn();
  expect(started).toEqual(['a1', 'a2', 'b1', 'b2', 'a3']);
});

test.each([
  [1, 1],
  [2, 1],
  [3, 2],
  [4, 3],
  [64, 48],
])('of %i requests at one time a tenant has at most %i', (all, perTenant) => {
  expect(permitLimits(all)).toEqual({ all, perTenant });
});
