import { numberFlag, readFlags, textFlag } from '../../bench/flags.ts';
import { formatTable } from '../../bench/table.ts';
import { startJourney } from '../recovery/journey.ts';
import { seedOfRun } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import { faultCases } from './cases.ts';
import { shiftableClock } from './clock-shift.ts';
import { type FaultCase, type FaultResult, suffer } from './fault-case.ts';
import { mountSmallDisk } from './small-disk.ts';

const FLAGS = [
  { name: 'only', value: 'TEXT', meaning: 'only the cases with this in their name' },
  { name: 'attempts', value: 'N', meaning: 'instead of as often as each case says' },
];
const DISK_MIB = 24;

/** Real processes broken in every way; a table of what became of the samples. */
async function main(args: readonly string[]): Promise<number> {
  const flags = readFlags('npm run faults -- [options]', args, FLAGS);
  if (flags === undefined) return 0;
  const only = textFlag(flags, 'only', '');
  const attempts = numberFlag(flags, 'attempts', Number.POSITIVE_INFINITY);
  const results: FaultResult[] = [];
  for (const fault of faultCases(seedOfRun()).filter(({ name }) => name.includes(only))) {
    const bounded = { ...fault, attempts: Math.min(fault.attempts, attempts) };
    const result = await runCase(bounded);
    console.log(`${result.problems.length === 0 ? 'ok' : 'BROKEN'}  ${result.name}`);
    for (const problem of result.problems) console.log(`        ${problem}`);
    results.push(result);
  }
  console.log(table(results));
  return results.some(({ problems }) => problems.length > 0) ? 1 : 0;
}

async function runCase(fault: FaultCase): Promise<FaultResult> {
  const workspace = new Workspace('faults');
  try {
    const journey = await startJourney(workspace, {
      agent: {
        prepare: ({ dataFolder }) => mountSmallDisk(workspace, dataFolder, DISK_MIB),
        environment: ({ folder }) => shiftableClock(folder),
      },
      agentSettings: { buffer: { min_free_disk: '0B', max_bytes: '1GiB' } },
    });
    return await suffer(fault, journey);
  } finally {
    await workspace.close();
  }
}

function table(results: readonly FaultResult[]): string {
  const head = [
    '',
    'attempts',
    'acknowledged',
    'lost',
    'accounted',
    'repeated',
    'out of order',
    's',
  ];
  const rows = results.map((result) => [
    result.name,
    String(result.attempts),
    String(result.acknowledged),
    String(result.lost),
    String(result.accounted),
    String(result.duplicated),
    String(result.outOfOrder),
    result.seconds.toFixed(0),
  ]);
  return formatTable([head, ...rows]);
}

process.exitCode = await main(process.argv.slice(2));
