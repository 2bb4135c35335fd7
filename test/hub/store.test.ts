import { afterEach, beforeEach, expect, test } from 'vitest';
import { HubStore } from '../../hub/store/hub-store.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';

let workspace: Workspace;
let stores: HubStore[];

beforeEach(() => {
  workspace = new Workspace('hub-store');
  stores = [];
});
afterEach(async () => {
  for (const store of stores) store.close();
  await workspace.close();
});

/** A store of the same folder, as the next process would open it when the one before has ended. */
function open(seed: string): HubStore {
  for (const store of stores.splice(0)) store.close();
  const store = new HubStore(workspace.subfolder('data'), seededRandom(seed));
  stores.push(store);
  return store;
}

const HUGE = 2n ** 64n - 1n;

test('a hub keeps the id it drew when it was new', () => {
  const { hub } = open('one');
  expect(open('two').hub).toBe(hub);
});

test('entries come back by epoch in the order of their ids, of one agent only', () => {
  const store = open('one');
  const entries = Array.from({ length: 300 }, (_, id) => Buffer.from(`entry ${id}`));
  store.addEntries('sg', HUGE, 0, entries.slice(0, 299));
  store.addEntries('sg', HUGE, 299, entries.slice(299));
  store.addEntries('sg', 3n, 0, [Buffer.from('another epoch')]);
  store.addEntries('fra', HUGE, 0, [Buffer.from('another agent')]);

  const later = open('two');
  const found = [...later.entries('sg')];
  expect(found.filter(({ epoch }) => epoch === HUGE).map(({ entry }) => entry)).toEqual(entries);
  later.removeEpoch('sg', HUGE);
  expect([...later.entries('sg')].map(({ epoch }) => epoch)).toEqual([3n]);
  expect([...later.entries('fra')]).toHaveLength(1);
});

test('a group of entries is stored as a whole or not at all', () => {
  const store = open('one');
  store.addEntries('sg', 1n, 0, [Buffer.from('a'), Buffer.from('b')]);
  expect(() => store.addEntries('sg', 1n, 1, [Buffer.from('c'), null as never])).toThrow();
  expect([...store.entries('sg')].map(({ entry }) => `${entry}`)).toEqual(['a', 'b']);
});

test('positions are replaced as a whole, by agent and tenant', () => {
  const store = open('one');
  store.setPositions('sg', '', [
    { run: HUGE, first: 1, last: 5 },
    { run: HUGE, first: 7, last: 2 ** 40 },
  ]);
  store.setPositions('sg', 'b', [{ run: 1n, first: 1, last: 1 }]);
  store.setPositions('sg', 'b', [{ run: 1n, first: 1, last: 9 }]);
  expect(open('two').positions('sg')).toEqual([
    { tenant: '', range: { run: HUGE, first: 1, last: 5 } },
    { tenant: '', range: { run: HUGE, first: 7, last: 2 ** 40 } },
    { tenant: 'b', range: { run: 1n, first: 1, last: 9 } },
  ]);
  expect(open('three').positions('fra')).toEqual([]);
});

test('the current run and those it has replaced are remembered', () => {
  const store = open('one');
  expect(store.runs('sg')).toEqual({ current: undefined, replaced: [] });
  store.setRuns('sg', { current: 1n, replaced: [] });
  store.setRuns('sg', { current: HUGE, replaced: [1n] });
  expect(open('two').runs('sg')).toEqual({ current: HUGE, replaced: [1n] });
});
