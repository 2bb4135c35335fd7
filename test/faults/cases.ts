import { appendFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { systemClock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import { failDestination, killAgent, killHub, silenceLink } from '../recovery/faults.ts';
import { acknowledgedMore, deliveredMore, type Journey } from '../recovery/journey.ts';
import { readMetric } from '../recovery/read-metric.ts';
import { type BufferDamage, DAMAGES_OF_ANY_DATABASE } from '../tools/buffer-damages.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { flap } from '../tools/tcp-proxy.ts';
import { until } from '../tools/until.ts';
import { setClock } from './clock-shift.ts';
import type { FaultCase } from './fault-case.ts';

const KILLS = 100;
const DISK_FULL_MS_MAX = 60_000;
const BALLAST_BYTES = 256 * 1024;
const LINK = { upMsMax: 2000, downMsMax: 700 };
const STEPS_MS = [3_600_000, -7_200_000, 86_400_000, -90_000_000, 0];

// Without the database and without what tells of it nobody can name what is lost.
const DAMAGES = DAMAGES_OF_ANY_DATABASE.filter(({ hitsWitness }) => hitsWitness !== true);

/** All that is done to real processes, in the order of the table. */
export function faultCases(seed: string): FaultCase[] {
  const flapping = (journey: Journey, signal: AbortSignal): Promise<void> =>
    flap(journey.proxy, seededRandom(`${seed}/link`), LINK, signal);
  return [
    {
      name: 'kill -9 of the agent, link flapping',
      attempts: KILLS,
      meanwhile: flapping,
      attempt: killAgent,
    },
    {
      name: 'kill -9 of the hub, link flapping',
      attempts: KILLS,
      meanwhile: flapping,
      attempt: async (journey) => {
        await deliveredMore(journey, 1);
        await killHub(journey);
      },
    },
    {
      name: 'files of the buffer damaged, each time in another way',
      attempts: DAMAGES.length,
      mayLose: true,
      attempt: (journey, attempt) =>
        damageBuffer(journey, DAMAGES[attempt]!, seededRandom(`${seed}/damage ${attempt}`)),
    },
    {
      name: 'destination answers 500, link flapping',
      attempts: 10,
      meanwhile: flapping,
      attempt: failDestination,
    },
    { name: 'disk of the agent full', attempts: 5, attempt: fillDisk },
    { name: 'hub stops reading', attempts: 5, attempt: stopHub },
    { name: 'link silent', attempts: 5, attempt: silenceLink },
    {
      name: 'clock of the agent stepped',
      attempts: STEPS_MS.length,
      attempt: (journey, attempt) => stepClock(journey, STEPS_MS[attempt]!),
    },
  ];
}

/** What only the buffer has is damaged while the agent does not run. */
async function damageBuffer(journey: Journey, damage: BufferDamage, random: Random): Promise<void> {
  const { agent, proxy } = journey;
  await proxy.cut('reset');
  await acknowledgedMore(journey, 400);
  await agent.process.kill();
  // As after an end in good order: everything is in the database then.
  new Database(join(agent.dataFolder, 'buffer.db')).close();
  damage.apply(agent.dataFolder, random);
  await agent.start();
  await acknowledgedMore(journey, 100);
  // Nobody else does, and they would fill the small disk.
  for (const name of readdirSync(agent.dataFolder)) {
    if (name.startsWith('damaged-')) rmSync(join(agent.dataFolder, name), { recursive: true });
  }
  await proxy.restore();
  await deliveredMore(journey, 1);
}

/** Fills the file system of data_dir to the brim until the agent says so, then empties it again. */
async function fillDisk(journey: Journey): Promise<void> {
  const { agent } = journey;
  const refusals = 'starferry_agent_requests_total{code="503"}';
  const before = await readMetric(agent.url, refusals);
  const ballast = join(agent.dataFolder, 'ballast');
  const over = new AbortController();
  const filling = fill(ballast, over.signal);
  try {
    await until('the agent to run out of disk', DISK_FULL_MS_MAX, async () => {
      return (await readMetric(agent.url, refusals)) > before;
    });
  } finally {
    over.abort();
    await filling;
    rmSync(ballast);
  }
  await acknowledgedMore(journey, 100);
  await deliveredMore(journey, 1);
}

/** Takes whatever becomes free, until `signal` is aborted. */
async function fill(path: string, signal: AbortSignal): Promise<void> {
  writeFileSync(path, '');
  while (!signal.aborted) {
    for (let bytes = BALLAST_BYTES; bytes >= 1; bytes = Math.floor(bytes / 2)) {
      try {
        for (;;) appendFileSync(path, Buffer.alloc(bytes));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
    if (statSync(path).size === 0) throw new Error('the disk was full before');
    await systemClock.sleep(20, signal);
  }
}

/** The process is there and its sockets take what fits into them, but nobody reads. */
async function stopHub(journey: Journey): Promise<void> {
  const { id } = journey.hub.process;
  process.kill(id, 'SIGSTOP');
  try {
    await acknowledgedMore(journey, 300);
  } finally {
    process.kill(id, 'SIGCONT');
  }
  await deliveredMore(journey, 2);
}

async function stepClock(journey: Journey, ms: number): Promise<void> {
  setClock(journey.agent, ms);
  await acknowledgedMore(journey, 200);
  await deliveredMore(journey, 2);
}
