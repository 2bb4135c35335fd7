import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import type { LinkReturn } from '../../../bench/link/arrivals.ts';
import { casesOf } from '../../../bench/link/cases.ts';
import { renderFigures, writeDocs } from '../../../bench/link/docs.ts';
import { goalsOf } from '../../../bench/link/goals.ts';
import { linkNamed } from '../../../bench/link/links.ts';
import { addRows, mergeRows, readRows } from '../../../bench/link/results.ts';
import { countsAt, type Row, rowOf } from '../../../bench/link/row.ts';
import type { RunResult } from '../../../bench/link/run.ts';
import { remarks } from '../../../bench/link/tables.ts';

const noWay = { offered: 0, cut: 0, overflowed: 0, packets: 0, lost: 0, delivered: 0 };
const START_MS = 1_800_000_000_000;

/** Counts `seconds` after the start. */
function counts(seconds: number, up: number, down = 0, syns = 0) {
  return {
    atMs: START_MS + seconds * 1000,
    up: { ...noWay, bytes: up, syns },
    down: { ...noWay, bytes: down, syns: 0 },
  };
}

function returned(part: Partial<LinkReturn>): LinkReturn {
  return { at: 10, fresh: 1, old: 2, caughtUp: 20, arrived: 400, ...part };
}

/** A run on a link of 8 kbit/s: 100 bytes until second 10, then 900 a second. */
const result: RunResult = {
  version: '1.2.3',
  counts: counts(60, 45_100, 4900, 3),
  history: Array.from({ length: 61 }, (_, at) => counts(at, 100 + Math.max(0, at - 10) * 900, 0)),
  arrivals: {
    ...{ expected: 1000, arrived: 1000, shareAtEnd: 0.9998, doubled: 0, outOfOrder: 0 },
    ...{ wrong: 0, unknown: 0, freshness: { p50: 1, p99: null, max: null } },
    ...{ firstArrival: 1, lastArrival: 50, returns: [returned({})] },
  },
  feed: { retries: 0, lateMax: 0.1 },
  lasted: 60,
  sends: { whole: 0, cutOff: 0, sendsMax: 0 },
  startMs: START_MS,
};
const circumstances = { machine: 'abacus', seconds: 60, series: 5, seed: 1, parallel: 1 };
const starferry = casesOf('table', { links: ['d'], contenders: ['starferry'] })[0]!;
const slowest = { ...starferry, settings: { rate: 8000 }, steps: () => [] };
const row = rowOf(slowest, result, circumstances);

/** The row with other figures. */
function rowWith(part: Partial<Row>, arrivals: Partial<Row['arrivals']> = {}): Row {
  return { ...row, ...part, arrivals: { ...row.arrivals, ...arrivals } };
}

test('bytes of both directions, and attempts to connect, are set against samples and time', () => {
  expect(row).toMatchObject({ bytesUp: 45_100, bytesDown: 4900, bytesPerSample: 50 });
  expect(row.synsPerMinute).toBe(3);
});

test('after a return: what the link carried until nothing was overdue, and what it cost', () => {
  expect(row.afterReturn).toEqual({ seconds: 20, use: 0.9, bytes: 49_900, samples: 400 });
});

test('of a run in which nothing arrived, the figures survive their file and the page', () => {
  const arrivals = { ...result.arrivals, arrived: 0, returns: [returned({ arrived: 0 })] };
  const nothing = rowOf(slowest, { ...result, arrivals }, circumstances);
  expect(JSON.parse(JSON.stringify(nothing))).toEqual(nothing);
  expect(renderFigures([nothing])).toContain('| d | Starferry | 45 | 5 | – |');
  const packs = goalsOf([{ ...nothing, scenario: 'packs' }]).find(({ what }) =>
    /^packs:/.test(what),
  );
  expect(packs).toMatchObject({ value: null, isMet: false });
});

test('a backlog that never goes is measured to the end', () => {
  const arrivals = { ...result.arrivals, returns: [returned({ caughtUp: null })] };
  const { afterReturn } = rowOf(slowest, { ...result, arrivals }, circumstances);
  expect(afterReturn).toMatchObject({ seconds: 50, use: 0.9 });
});

test('counts of a moment are the last ones up to it', () => {
  const history = [counts(0, 1), counts(1, 2), counts(2, 3)];
  expect(countsAt(history, START_MS + 1999)).toBe(history[1]);
  expect(countsAt(history, START_MS + 2000)).toBe(history[2]);
  expect(countsAt(history, START_MS - 1)).toBe(history[0]);
});

test.each<[string, Row, string[]]>([
  ['all is well', rowWith({}), []],
  ['a sample is missing', rowWith({}, { arrived: 999 }), ['samples missing']],
  ['a sample came twice', rowWith({}, { doubled: 1 }), ['wrong, unknown or doubled']],
  ['a sample is wrong', rowWith({}, { wrong: 1 }), ['wrong, unknown or doubled']],
  ['one came out of order', rowWith({}, { outOfOrder: 1 }), ['out of order']],
  ['live_first', rowWith({ contender: 'starferry-live' }, { outOfOrder: 1 }), []],
  ['somebody else', rowWith({ contender: 'vmagent' }, { arrived: 0, doubled: 9 }), []],
  ['one return is slow', rowWith({}, { returns: [1, 2, 7].map(freshAfter) }), ['worst']],
  ['most are slow', rowWith({}, { returns: [1, 4, 5].map(freshAfter) }), ['median']],
  ['nothing came', rowWith({}, { returns: [null].map(freshAfter) }), ['median', 'worst']],
  ['plain on b', rowWith({ link: 'b', bytesPerSample: 0.76, synsPerMinute: 1 }), ['B/sample']],
  [
    'TLS on b',
    rowWith({ link: 'b', contender: 'starferry-tls', bytesPerSample: 0.9, synsPerMinute: 1.1 }),
    ['SYNs'],
  ],
  ['sent thrice', rowWith({ scenario: 'slow', sends: { ...row.sends, sendsMax: 3 } }), ['sends']],
  ['an idle link', rowWith({ scenario: 'recover', afterReturn: after({ use: 0.84 }) }), ['share']],
  ['costly packs', rowWith({ scenario: 'packs', afterReturn: after({ bytes: 164 }) }), ['packs']],
  ['cheap packs', rowWith({ scenario: 'packs', afterReturn: after({ bytes: 160 }) }), []],
  [
    'a dead address',
    rowWith({ scenario: 'addresses' }, { firstArrival: 16 }),
    ['the first samples'],
  ],
])('goals missed when %s', (_, of, missed) => {
  const goals = goalsOf([of]).filter(({ isMet }) => !isMet);
  expect(goals.map(({ what }) => what)).toEqual(
    missed.map((what) => expect.stringContaining(what)),
  );
});

function freshAfter(fresh: number | null): LinkReturn {
  return returned({ fresh });
}

function after(part: Partial<NonNullable<Row['afterReturn']>>) {
  return { seconds: 20, use: 0.9, bytes: 100, samples: 400, ...part };
}

test('a run takes the place of an older one, and of no other', () => {
  const other = rowWith({ link: 'a' });
  const newer = rowWith({ bytesUp: 1 });
  expect(mergeRows([row, other], [newer])).toEqual([newer, other]);
});

test('figures survive their file, and fill their place on the page alone', () => {
  const folder = mkdtempSync(join(tmpdir(), 'starferry-figures-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [file, page] = [join(folder, 'figures.json'), join(folder, 'page.md')];
  addRows(file, [row]);
  addRows(file, [rowWith({ link: 'a' })]);
  expect(readRows(file)).toEqual([row, rowWith({ link: 'a' })]);
  const marks = [
    '<!-- Figures of `npm run bench -- link`, written by its --docs. -->',
    '<!-- End of the figures of link. -->',
  ];
  writeFileSync(page, `before\n${marks[0]}\nold\n${marks[1]}\nbehind\n`);
  writeDocs(pathToFileURL(page), readRows(file));
  writeDocs(pathToFileURL(page), readRows(file));
  const figures = renderFigures(readRows(file));
  expect(readFileSync(page, 'utf8')).toBe(
    `before\n${marks[0]}\n\n${figures}\n\n${marks[1]}\nbehind\n`,
  );
  writeFileSync(page, 'no place\n');
  expect(() => writeDocs(pathToFileURL(page), [row])).toThrow('lacks the marks');
});

test('the page names every link with its settings, the machine, the versions and the goals', () => {
  const text = renderFigures([row]);
  expect(text).toContain('| b | satellite | 128 kbit/s, 300 ms one way, 3 % loss in bursts of 4, ');
  expect(text).toContain('abacus; 5 series for 60 s, seed 1, 1 at a time');
  expect(text).toContain('Starferry 1.2.3');
  // Not all of it was there at the end, and rounding does not make it so.
  expect(text).toContain(
    '| d | Starferry | 45 | 5 | 50.00 | 99.9 / 100.0 | 1.0 | – | 0 | 0 | 3.0 |',
  );
  expect(text).toContain('| table d, Starferry: samples missing | 0 | ≤ 0 | met |');
});

test('a machine too busy to feed in time and samples that were never sent are remarked on', () => {
  expect(remarks([row])).toEqual([]);
  const odd = rowWith({ feedLate: 5 }, { unknown: 2 });
  expect(remarks([odd])).toEqual([
    expect.stringContaining('2 unknown'),
    expect.stringContaining('fed 5.0 s late'),
  ]);
});

test('link d comes back six times, link e once, whatever a run lasts', () => {
  const returns = (name: string, seconds: number) =>
    linkNamed(name)
      .steps(seconds)
      .filter(([, { up }]) => up === true)
      .map(([at]) => at);
  expect(returns('d', linkNamed('d').seconds)).toEqual([60, 120, 180, 240, 300, 360]);
  expect(returns('e', linkNamed('e').seconds)).toEqual([720]);
  expect(returns('e', 70)).toEqual([60]);
});

test('unknown links and contenders are named with those that there are', () => {
  expect(() => casesOf('table', { links: ['z'], contenders: [] })).toThrow(
    'link z: there are a, b, c, d, e',
  );
  expect(() => casesOf('table', { links: [], contenders: ['carrier pigeon'] })).toThrow(
    'contender carrier pigeon: there are starferry, ',
  );
  expect(casesOf('table', { links: [], contenders: [] })).toHaveLength(35);
});
