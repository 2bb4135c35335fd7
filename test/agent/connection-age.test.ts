import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { encodeAnswer } from '../../proto/answer.ts';
import { emptySettlement } from '../../proto/settlement.ts';
import { MOVING_NAME, REPLICAS, type Replicas, startReplicas } from '../tools/moving-name.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { connectTo } from './link-fixture.ts';

const names = vi.hoisted(() => ({ address: '' }));
vi.mock('node:dns', async (importOriginal) => ({
  ...(await importOriginal<typeof import('node:dns')>()),
  lookup: (_name: string, _options: object, callback: (...found: unknown[]) => void) =>
    setImmediate(callback, null, [{ address: names.address, family: 4 }]),
}));

const AGE_MAX_MS = 300_000;
const PATIENCE_MS = 5000;

let workspace: Workspace;
let replicas: Replicas;
beforeEach(async () => {
  workspace = new Workspace('connection-age');
  replicas = await startReplicas(async (request, response) => {
    await request.toArray();
    const empty = { settlement: emptySettlement(), dictionaryOffset: 0, hubClockMs: 1 };
    response.end(encodeAnswer(empty));
  });
  workspace.onClose(() => replicas.close());
});
afterEach(async () => {
  vi.restoreAllMocks();
  await workspace.close();
});

test('connections to the hub are replaced after five minutes, by what its name stands for then', async () => {
  const [old, fresh] = REPLICAS;
  names.address = old;
  const client = connectTo(workspace, `http://${MOVING_NAME}:${replicas.port}`);
  const signal = new AbortController().signal;
  const post = async () => {
    expect(await client.postBatch(Buffer.alloc(10), signal, 'live')).toMatchObject({
      kind: 'answer',
    });
    return replicas.asked.at(-1);
  };
  expect(await post()).toBe(old);
  names.address = fresh;
  // A connection that is used all the time ages as well.
  const real = performance.now.bind(performance);
  let passedMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => real() + passedMs);
  for (passedMs of [60_000, 200_000, AGE_MAX_MS - 5000]) expect(await post()).toBe(old);
  expect(await replicas.connections(fresh)).toBe(0);
  passedMs = AGE_MAX_MS + 1000;
  expect(await post()).toBe(fresh);
  await until('the end of the old connection', PATIENCE_MS, async () => {
    return (await replicas.connections(old)) === 0;
  });
});
