import { afterEach, beforeEach, expect, test } from 'vitest';
import { AgentLag } from '../../hub/agent-lag.ts';
import { HubStore } from '../../hub/store/hub-store.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import { InstantClock } from './write-fixture.ts';

const AGENTS = [
  { id: 'sg', tenants: ['a', 'b'] },
  { id: 'fra', tenants: ['c'] },
];

let workspace: Workspace;
let store: HubStore;
let clock: InstantClock;
let lag: AgentLag;

beforeEach(() => {
  workspace = new Workspace('agent-lag');
  clock = new InstantClock();
  begin();
});
afterEach(async () => {
  store.close();
  await workspace.close();
});

/** As a process of the hub does. */
function begin(agents = AGENTS): void {
  store = new HubStore(workspace.subfolder('hub'), seededRandom('lag'));
  lag = new AgentLag(agents, { store, clock });
}

function restart(agents = AGENTS): void {
  store.close();
  begin(agents);
}

const seconds = () =>
  Object.fromEntries([...lag.lags()].map((at) => [`${at.agent} ${at.tenant}`, at.seconds]));

test('is in the agent’s time, and grows while the agent is silent', async () => {
  // The agent's clock is a minute behind; its newest sample is ten seconds old.
  const agentNowMs = clock.now() - 60_000;
  lag.heard('sg', 60_000);
  lag.delivered('sg', 'a', agentNowMs - 10_000);
  expect(seconds()).toEqual({ 'sg a': 10 });
  await clock.sleep(5000);
  lag.delivered('sg', 'a', agentNowMs - 20_000);
  expect(seconds()).toEqual({ 'sg a': 15 });
});

test('grows for one blocked tenant while the others of its agent are delivered', async () => {
  lag.heard('sg', 0);
  for (const tenant of ['a', 'b']) lag.delivered('sg', tenant, clock.now());
  for (let n = 0; n < 10; n++) {
    await clock.sleep(60_000);
    lag.offered('sg', 'a');
    lag.offered('sg', 'b');
    lag.delivered('sg', 'a', clock.now());
  }
  expect(seconds()).toEqual({ 'sg a': 0, 'sg b': 600 });
});

test('is there for a tenant whose samples wait though none was ever delivered', async () => {
  lag.heard('sg', 5000);
  lag.offered('sg', 'a');
  await clock.sleep(30_000);
  lag.offered('sg', 'a');
  expect(seconds()).toEqual({ 'sg a': 30 });
  expect([...lag.lags()]).toMatchObject([{ isAnswered: false }]);
  // An old backlog makes it larger, and it is then what was delivered that counts.
  lag.delivered('sg', 'a', clock.now() - 5000 - 100_000);
  expect(seconds()).toEqual({ 'sg a': 100 });
});

test('goes on over a restart of the hub, for agents that have been silent since as well', async () => {
  lag.heard('sg', 1000);
  lag.delivered('sg', 'a', clock.now() - 1000);
  lag.offered('fra', 'c');
  lag.save();
  const heardAtMs = clock.now();
  await clock.sleep(7000);
  restart();
  expect(seconds()).toEqual({ 'sg a': 7, 'fra c': 7 });
  expect(lag.agent('sg')).toMatchObject({ atMs: heardAtMs, clockOffsetMs: 1000 });
  expect(lag.agent('fra')).toBeUndefined();
});

test('is saved only when it has changed, and all of it when the store has lost it', () => {
  lag.heard('sg', 0);
  lag.delivered('sg', 'a', 5);
  lag.save();
  store.setLags([], [{ agent: 'sg', tenant: 'a', sinceMs: 6, isAnswered: true }]);
  lag.save();
  expect(store.lags()).toMatchObject([{ sinceMs: 6 }]);
  lag.saveAll();
  lag.save();
  expect(store.lags()).toMatchObject([{ sinceMs: 5 }]);
});

test('a sample from the future does not hide what is missing until then', async () => {
  lag.heard('sg', 0);
  lag.delivered('sg', 'a', clock.now() + 365 * 86_400_000);
  await clock.sleep(900_000);
  expect(seconds()).toEqual({ 'sg a': 900 });
});

test('ends with the tenant in the configuration, and with the agent', () => {
  for (const [agent, tenant] of [
    ['sg', 'a'],
    ['sg', 'b'],
    ['fra', 'c'],
  ] as const) {
    lag.heard(agent, 0);
    lag.delivered(agent, tenant, 1);
  }
  lag.save();
  restart([{ id: 'sg', tenants: ['b'] }]);
  expect(Object.keys(seconds())).toEqual(['sg b']);
  expect(lag.agent('fra')).toBeUndefined();
});

test('of tenants that an agent invents has its bounds, and never costs one of its own', () => {
  for (let n = 0; n < 1000; n++) lag.offered('sg', `invented ${n}`);
  lag.offered('sg', 'b');
  expect(Object.keys(seconds())).toHaveLength(103);
  expect(Object.keys(seconds())).toContain('sg b');
});
