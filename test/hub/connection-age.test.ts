import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Destination } from '../../hub/write/destination.ts';
import { MOVING_NAME, REPLICAS, type Replicas, startReplicas } from '../tools/moving-name.ts';
import { until } from '../tools/until.ts';

const names = vi.hoisted(() => ({ address: '' }));
vi.mock('node:dns', async (importOriginal) => ({
  ...(await importOriginal<typeof import('node:dns')>()),
  lookup: (_name: string, _options: object, callback: (...found: unknown[]) => void) =>
    setImmediate(callback, null, [{ address: names.address, family: 4 }]),
}));

const AGE_MAX_MS = 300_000;
const PATIENCE_MS = 5000;

let replicas: Replicas;
let destination: Destination;
beforeEach(async () => {
  replicas = await startReplicas((_request, response) => response.end());
  destination = new Destination({
    url: `http://${MOVING_NAME}:${replicas.port}/api/v1/push`,
    tenantHeader: 'X-Scope-OrgID',
    timeoutMs: 5000,
    connectTimeoutMs: 5000,
    inFlightMax: 1,
    version: '1.2.3',
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await destination.close();
  await replicas.close();
});

test('connections to the destination are replaced after five minutes, by what its name stands for then', async () => {
  const [old, fresh] = REPLICAS;
  names.address = old;
  const signal = new AbortController().signal;
  const post = async () => {
    const request = { tenant: 'a', protocol: 'v1', body: Buffer.from('x'), attempt: 0 } as const;
    expect(await destination.post({ ...request, signal })).toMatchObject({ status: 200 });
    return replicas.asked.at(-1);
  };
  expect(await post()).toBe(old);
  names.address = fresh;
  // A connection that is used all the time ages as well.
  const real = Date.now.bind(Date);
  let passedMs = 0;
  vi.spyOn(Date, 'now').mockImplementation(() => real() + passedMs);
  for (passedMs of [60_000, 200_000, AGE_MAX_MS - 5000]) expect(await post()).toBe(old);
  expect(await replicas.connections(fresh)).toBe(0);
  passedMs = AGE_MAX_MS + 1000;
  expect(await post()).toBe(fresh);
  await until('the end of the old connection', PATIENCE_MS, async () => {
    return (await replicas.connections(old)) === 0;
  });
});
