import type { HubStore } from '../../hub/store/hub-store.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';

export const AGENTS = ['fra', 'sg', 'tokyo'];
const HUGE = 2n ** 64n - 1n;

/** All that a store knows, in a form to be compared; dictionaries by epoch. */
export interface Knowledge {
  entries: Map<string, string[]>;
  positions: string[];
  runs: string[];
  others: string[];
}

/** Something of everything that a hub keeps; the last commit is that of the lags. */
export function fill(store: HubStore): void {
  AGENTS.forEach((agent, number) => {
    for (const epoch of [BigInt(number) + 5n, HUGE - BigInt(number)]) {
      const entries = Array.from({ length: 40 }, (_, id) =>
        Buffer.from(`{__name__="series_${id}", agent="${agent}", epoch="${epoch}"}`),
      );
      store.addEntries(agent, epoch, 0, entries.slice(0, 25));
      store.addEntries(agent, epoch, 25, entries.slice(25));
    }
    for (const tenant of ['', 'second']) {
      const ranges: PositionRange[] = Array.from({ length: 5 }, (_, n) => ({
        run: 100n + BigInt(n),
        first: 1 + 10 * n,
        last: 7 + 10 * n + number,
      }));
      store.setPositions(agent, tenant, ranges);
    }
    store.setRuns(agent, { current: HUGE - 1n, replaced: [1n, 2n, BigInt(number) + 3n] });
  });
  store.setTenantAges([
    { tenant: 'overseas', newest: 1_700_000_000_000, isBounded: true },
    { tenant: 'second', newest: 1_600_000_000_000, isBounded: false },
  ]);
  store.setLags(
    AGENTS.map((agent) => ({ agent, atMs: 1_700_000_000_000, clockOffsetMs: -5 })),
    AGENTS.map((agent) => ({
      agent,
      tenant: 'overseas',
      sinceMs: 1_690_000_000_000,
      isAnswered: true,
    })),
  );
}

export function knowledgeOf(store: HubStore): Knowledge {
  const entries = new Map<string, string[]>();
  for (const agent of AGENTS) {
    for (const { epoch, id, entry } of store.entries(agent)) {
      const log = entries.get(`${agent} ${epoch}`) ?? [];
      entries.set(`${agent} ${epoch}`, log);
      log[id] = Buffer.from(entry).toString('latin1');
    }
  }
  const runsOf = (agent: string) => {
    const { current, replaced } = store.runs(agent);
    return [...replaced, ...(current === undefined ? [] : [`current ${current}`])];
  };
  return {
    entries,
    positions: AGENTS.flatMap((agent) =>
      store
        .positions(agent)
        .map(({ tenant, range: { run, first, last } }) =>
          [agent, tenant, run, first, last].join(' '),
        ),
    ),
    runs: AGENTS.flatMap((agent) => runsOf(agent).map((run) => `${agent} ${run}`)),
    others: [...store.tenantAges(), ...store.agentsHeard(), ...store.lags()].map((row) =>
      JSON.stringify(row),
    ),
  };
}

/** What a store says that was never told to it. */
export function inventions(found: Knowledge, truth: Knowledge): string[] {
  const strange = (of: 'positions' | 'runs' | 'others') =>
    found[of].filter((row) => !truth[of].includes(row)).map((row) => `${of}: ${row}`);
  const logs = [...found.entries].flatMap(([log, entries]) => {
    const known = truth.entries.get(log)?.slice(0, entries.length);
    return JSON.stringify(known) === JSON.stringify(entries) ? [] : [`log ${log}`];
  });
  return [...strange('positions'), ...strange('runs'), ...strange('others'), ...logs];
}

/** Whether anything is missing of what a store was told. */
export function isComplete(found: Knowledge, truth: Knowledge): boolean {
  const size = ({ entries, positions, runs, others }: Knowledge) =>
    [...entries.values()].flat().length + positions.length + runs.length + others.length;
  return size(found) === size(truth);
}
