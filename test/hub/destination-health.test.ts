import { describe, expect, test } from 'vitest';
import { DestinationHealth } from '../../hub/destination-health.ts';
import type { PostResult } from '../../hub/write/post.ts';
import { Workspace } from '../tools/workspace.ts';
import { AGENT, AgentDouble, seen, settle, startReceiver } from './receive-fixture.ts';
import { InstantClock } from './write-fixture.ts';

const failed = { kind: 'failed', message: 'x', timedOut: false, mayHaveArrived: true } as const;

function answer(status: number, body = ''): PostResult {
  return { kind: 'answer', status, headers: {}, body };
}

function open() {
  const clock = new InstantClock();
  const health = new DestinationHealth('cortex', clock);
  const ending = new AbortController();
  const post = async (result: PostResult, tenant = 'a', signal = ending.signal): Promise<void> => {
    const body = new Uint8Array(0);
    await health.watch(async () => result)({ tenant, protocol: 'v1', body, attempt: 0, signal });
  };
  return { clock, health, post };
}

describe('how the destination does', () => {
  test.each([
    ['taking', answer(200)],
    ['taking', answer(400, 'out of order sample')],
    ['taking', answer(413)],
    ['unavailable', answer(503)],
    ['unavailable', answer(500)],
    ['unavailable', answer(429)],
    ['refusing', answer(401)],
    ['refusing', answer(404)],
    ['refusing', answer(302)],
    ['unreachable', failed],
    ['timeout', { ...failed, timedOut: true }],
  ])('is %s after %j', async (state, result) => {
    const { health, post } = open();
    await post(result);
    expect(health.of(['a'])).toBe(state);
  });

  test('is not known before anything was sent for a tenant, and no tenant speaks for another', async () => {
    const { health, post } = open();
    expect(health.of(['a'])).toBeUndefined();
    await post(answer(503), 'b');
    expect(health.of(['a'])).toBeUndefined();
    await post(answer(200));
    expect([health.of(['a']), health.of(['a', 'b'])]).toEqual(['taking', 'unavailable']);
  });

  test('is good while others pass beside a request that fails', async () => {
    const { clock, health, post } = open();
    await post(answer(200));
    await clock.sleep(10_000);
    await post(answer(500));
    expect(health.of(['a'])).toBe('taking');
    await clock.sleep(10_000);
    await post(answer(500));
    expect(health.of(['a'])).toBe('unavailable');
    await post(answer(200));
    expect(health.of(['a'])).toBe('taking');
  });

  test('is not bad for ever when nobody tries any more', async () => {
    const { clock, health, post } = open();
    await post(failed);
    await clock.sleep(300_001);
    expect(health.of(['a'])).toBe('taking');
  });

  test('does not follow from what the hub gave up itself', async () => {
    const { health, post } = open();
    await post(failed, 'a', AbortSignal.abort());
    expect(health.of(['a'])).toBeUndefined();
  });
});

test('a heartbeat is told how the destination does for the tenants of its agent', async () => {
  const workspace = new Workspace('destination-health');
  let isAway = true;
  const post = async () => (isAway ? answer(503) : answer(200));
  const { receiver, kill } = startReceiver(workspace.folder, post);
  const agent = new AgentDouble(1n);
  agent.series('up');
  const beat = async (known = AGENT) => {
    const opened = seen(await receiver.receive(known, agent.heartbeat(), '192.0.2.1:5'));
    return 'answer' in opened ? opened.answer.destination : opened;
  };
  expect(await beat()).toBeUndefined();
  const batch = receiver.receive(AGENT, agent.live(7n, 0, [[0, 10]], [1, 1]), '192.0.2.1:5');
  await settle();
  expect(await beat()).toBe('unavailable');
  expect(await beat({ id: 'fra', tenants: ['fra'] })).toBeUndefined();
  isAway = false;
  expect(seen(await batch)).toMatchObject({ answer: { settlement: { accepted: 1 } } });
  expect(await beat()).toBe('taking');
  kill();
  await workspace.close();
});
