import { release } from 'node:os';
import type { Flag } from '../../cli/flags.ts';
import { numberFlag, readFlags, textFlag } from '../flags.ts';
import { describeMachine } from '../machine.ts';
import { formatTable } from '../table.ts';
import { type Case, casesOf, SCENARIOS, type ScenarioName } from './cases.ts';
import { CONTENDERS } from './contenders.ts';
import { writeDocs } from './docs.ts';
import { LINKS } from './links.ts';
import { missingForLinks, removeLeftovers } from './namespaces.ts';
import { addRows, readRows } from './results.ts';
import { type Row, rowOf } from './row.ts';
import { runOnce } from './run.ts';
import { crossingTable, goalsTable, remarks, returnsTable } from './tables.ts';

const NAMES = {
  scenarios: Object.keys(SCENARIOS).join(),
  links: LINKS.map(({ name }) => name).join(),
  contenders: CONTENDERS.map(({ name }) => name).join(),
};
const FLAGS: readonly Flag[] = [
  { name: 'scenario', value: 'table', meaning: `some of ${NAMES.scenarios}, with commas` },
  { name: 'links', value: NAMES.links, meaning: 'of table' },
  { name: 'contenders', value: NAMES.contenders, meaning: 'of table' },
  { name: 'seconds', value: '300', meaning: 'of samples; what changes in a run is scaled' },
  { name: 'series', value: '6649', meaning: 'copies with a label of their own beyond that' },
  { name: 'parallel', value: '1', meaning: 'runs of table at a time, each on a link of its own' },
  { name: 'seed', value: '1', meaning: 'of the losses' },
  { name: 'congestion', value: 'reno', meaning: "TCP's congestion control, at both ends" },
  { name: 'json', value: 'FILE', meaning: 'adds the figures to FILE, in place of older ones' },
  { name: 'docs', value: 'FILE', meaning: 'only writes the figures of FILE to docs/benchmarks.md' },
];
const PAGE = new URL('../../docs/benchmarks.md', import.meta.url);
const CAPTURED_SERIES = 6649;

interface Settings {
  seconds?: number;
  series?: number;
  parallel: number;
  seed: number;
  congestion: string;
}

/**
 * Agent and hub beside vmagent and Prometheus on the same bad links, over kernel TCP: packets
 * really wait, are lost and are counted. Every sample is compared where it arrives.
 *
 * @throws Error that says what is missing where no link can be made
 */
export async function run(args: readonly string[]): Promise<void> {
  const flags = readFlags('npm run bench -- link [options]', args, FLAGS);
  if (flags === undefined) return;
  const docs = textFlag(flags, 'docs', '');
  if (docs !== '') return writeDocs(PAGE, readRows(docs));
  const missing = missingForLinks();
  if (missing !== undefined) {
    console.error(missing);
    process.exitCode = 1;
    return;
  }
  const settings: Settings = {
    ...(flags['seconds'] === undefined ? {} : { seconds: numberFlag(flags, 'seconds', 0) }),
    ...(flags['series'] === undefined ? {} : { series: numberFlag(flags, 'series', 0) }),
    parallel: numberFlag(flags, 'parallel', 1),
    seed: numberFlag(flags, 'seed', 1),
    congestion: textFlag(flags, 'congestion', 'reno'),
  };
  const only = {
    links: namesIn(textFlag(flags, 'links', '')),
    contenders: namesIn(textFlag(flags, 'contenders', '')),
  };
  const cases = scenariosIn(textFlag(flags, 'scenario', 'table')).flatMap((name) =>
    casesOf(name, only),
  );
  endWithSignals();
  removeLeftovers();
  const json = textFlag(flags, 'json', '');
  const rows = await runAll(cases, settings, (row) => {
    // One by one: hours of runs must not be lost with the last one.
    if (json !== '') addRows(json, [row]);
  });
  print(rows);
}

function namesIn(list: string): string[] {
  return list.split(',').filter((name) => name !== '');
}

/** @throws Error naming one that is not there */
function scenariosIn(list: string): ScenarioName[] {
  return namesIn(list).map((name) => {
    if (name in SCENARIOS) return name as ScenarioName;
    throw new Error(`scenario ${name}: there are ${NAMES.scenarios}`);
  });
}

/** The end of the process takes namespaces and programs along; a signal alone would not. */
function endWithSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(1));
  }
}

/** Rows in the order of the cases; a run that failed has none, and the exit code tells. */
async function runAll(
  cases: readonly Case[],
  settings: Settings,
  onRow: (row: Row) => void,
): Promise<Row[]> {
  const rows: Row[] = [];
  let next = 0;
  const work = async (alone: boolean): Promise<void> => {
    for (let at = next++; at < cases.length; at = next++) {
      const one = cases[at]!;
      if (one.alone !== alone) continue;
      try {
        const row = await runCase(one, settings);
        rows[at] = row;
        onRow(row);
      } catch (error) {
        console.error(`${one.scenario} ${one.link}, ${one.contender.title}:`, error);
        process.exitCode = 1;
      }
    }
  };
  const workers = Math.min(settings.parallel, cases.length);
  await Promise.all(Array.from({ length: workers }, () => work(false)));
  next = 0;
  await work(true);
  return rows.filter((row) => row !== undefined);
}

async function runCase(one: Case, settings: Settings): Promise<Row> {
  const seconds = settings.seconds ?? one.seconds;
  const series = settings.series ?? one.series;
  console.log(`  ${one.scenario} ${one.link}, ${one.contender.title}: ${seconds} s`);
  const result = await runOnce({
    contender: one.contender,
    load: { seconds, series },
    settings: one.settings,
    steps: one.steps(seconds),
    drainSeconds: one.drainSeconds,
    ...(one.beforeDrain === undefined ? {} : { beforeDrain: one.beforeDrain }),
    countSendsFrom: one.countSendsFrom?.(seconds) ?? 0,
    ...{ seed: settings.seed, congestion: settings.congestion },
  });
  const machine = `${describeMachine()}, kernel ${release()}, ${settings.congestion}`;
  return rowOf(one, result, {
    ...{ machine, seconds, seed: settings.seed },
    series: series ?? CAPTURED_SERIES,
    parallel: one.alone ? 1 : settings.parallel,
  });
}

function print(rows: readonly Row[]): void {
  console.log(`\n${formatTable(crossingTable(rows))}`);
  const returns = returnsTable(rows);
  if (returns.length > 1) console.log(`\n${formatTable(returns)}`);
  console.log(`\n${formatTable(goalsTable(rows))}`);
  for (const remark of remarks(rows)) console.log(`  ${remark}`);
}
