import type { LinkReturn, Seconds } from './arrivals.ts';
import { type Goal, goalsOf } from './goals.ts';
import type { Row } from './row.ts';

/** Rows of cells, the first one the heads. */
export type Table = string[][];

/** What crossed and how fresh it was. */
export function crossingTable(rows: readonly Row[]): Table {
  const heads = [
    ...['link', 'contender', 'kB up', 'kB down', 'B/sample', '% at end / after'],
    ...['p50 s', 'p99 s', 'doubled', 'out of order', 'SYN/min'],
  ];
  return [heads, ...rows.map(crossingCells)];
}

function crossingCells(row: Row): string[] {
  const { arrivals } = row;
  const { arrived, expected, shareAtEnd, freshness } = arrivals;
  return [
    row.link,
    row.title,
    (row.bytesUp / 1000).toFixed(0),
    (row.bytesDown / 1000).toFixed(0),
    row.bytesPerSample?.toFixed(2) ?? '–',
    `${percent(shareAtEnd)} / ${percent(arrived / expected)}`,
    seconds(freshness.p50),
    seconds(freshness.p99),
    String(arrivals.doubled),
    String(arrivals.outOfOrder),
    row.synsPerMinute.toFixed(1),
  ];
}

/** How long after each return of the link fresh samples came, and everything. */
export function returnsTable(rows: readonly Row[]): Table {
  const cut = rows.filter(({ arrivals }) => arrivals.returns.length > 0);
  const list = ({ arrivals }: Row, of: (one: LinkReturn) => Seconds) =>
    arrivals.returns.map((one) => seconds(of(one))).join(', ');
  return [
    ['link', 'contender', 's to fresh samples', 's to all older ones', 's to none overdue'],
    ...cut.map((row) => [
      row.link,
      row.title,
      list(row, ({ fresh }) => fresh),
      list(row, ({ old }) => old),
      list(row, ({ caughtUp }) => caughtUp),
    ]),
  ];
}

export function goalsTable(rows: readonly Row[]): Table {
  return [['goal', 'is', 'bound', ''], ...goalsOf(rows).map(goalCells)];
}

function goalCells({ what, value, bound, isMet }: Goal): string[] {
  const limit = 'most' in bound ? `≤ ${bound.most}` : `≥ ${bound.least}`;
  return [what, value === null ? '–' : number(value), limit, isMet ? 'met' : 'missed'];
}

/** What a reader of the figures has to know: a sender that got its load late, and other faults. */
export function remarks(rows: readonly Row[]): string[] {
  return rows.flatMap((row) => {
    const { wrong, unknown } = row.arrivals;
    const where = `${row.scenario} ${row.link}, ${row.title}`;
    const found: string[] = [];
    if (wrong + unknown > 0) found.push(`${where}: ${wrong} samples wrong, ${unknown} unknown`);
    if (row.feedLate > 2) {
      found.push(`${where}: fed ${seconds(row.feedLate)} s late, the machine was busy`);
    }
    return found;
  });
}

function percent(share: number): string {
  // 99.98 % are not all.
  return (Math.floor(share * 1000) / 10).toFixed(1);
}

function seconds(value: Seconds): string {
  return value === null ? '–' : value.toFixed(1);
}

function number(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}
