import { copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Workspace } from '../tools/workspace.ts';
import { expectDelivered } from './delivery-check.ts';
import {
  acknowledgedMore,
  deliveredMore,
  type Journey,
  startJourney,
  whileWriting,
} from './journey.ts';
import { readMetric } from './read-metric.ts';

const backlogSamples = 400;
const logMsMax = 5000;
const testMsMax = 90_000;

/** Damage that takes nothing along which the agent could not get back. */
type Damage = [name: string, apply: (pathOf: (file: string) => string) => void];

export const damagesWhileRunning: Damage[] = [
  ['its database was deleted', (pathOf) => rmSync(pathOf('buffer.db'))],
  ['its log was deleted', (pathOf) => rmSync(pathOf('buffer.db-wal'))],
  [
    'its database was replaced by a copy',
    (pathOf) => {
      copyFileSync(pathOf('buffer.db'), pathOf('copy'));
      renameSync(pathOf('copy'), pathOf('buffer.db'));
    },
  ],
  ['its folder was deleted', (pathOf) => rmSync(pathOf('.'), { recursive: true })],
];

export const damagesWhileStopped: Damage[] = [
  [
    'a byte in the middle of its log was flipped',
    (pathOf) => {
      const bytes = readFileSync(pathOf('buffer.db-wal'));
      bytes[middleOfLog(bytes)]! ^= 1;
      writeFileSync(pathOf('buffer.db-wal'), bytes);
    },
  ],
  [
    'the header of its log was overwritten',
    (pathOf) => {
      const bytes = readFileSync(pathOf('buffer.db-wal'));
      writeFileSync(pathOf('buffer.db-wal'), bytes.fill(0xa5, 0, 32));
    },
  ],
];

/** A byte of the frame in the middle of those that count: the file may have older ones behind them. */
function middleOfLog(wal: Buffer): number {
  const headerBytes = 32;
  const frameBytes = 24 + wal.readUInt32BE(8);
  const salts = wal.subarray(16, 24);
  let frames = 0;
  while (
    wal
      .subarray(headerBytes + frames * frameBytes)
      .subarray(8, 16)
      .equals(salts)
  )
    frames++;
  return headerBytes + (frames >> 1) * frameBytes + (frameBytes >> 1);
}

/** One journey through the given damages, one after the other. */
export function describeDamages(whileRunning: Damage[], whileStopped: Damage[]): void {
  describe('an agent whose buffer is damaged goes on by itself, and what it acknowledged arrives', () => {
    const workspace = new Workspace('damaged-buffer');
    let journey: Journey;

    beforeAll(async () => {
      journey = await startJourney(workspace);
    });
    afterAll(() => workspace.close());

    test.for(whileRunning)('while it ran: %s', { timeout: testMsMax }, async (damage) => {
      await damageWhileRunning(journey, damage);
    });

    test.for(whileStopped)('after a kill: %s', { timeout: testMsMax }, async (damage) => {
      await damageWhileStopped(journey, damage);
    });
  });
}

/** Damages the buffer of the running process; it goes on by itself, and everything arrives. */
async function damageWhileRunning(journey: Journey, [, apply]: Damage): Promise<void> {
  const { process, url, dataFolder } = journey.agent;
  const salvages = await readMetric(url, 'starferry_agent_salvages_total');
  await withBacklog(journey, () => apply((file) => join(dataFolder, file)));
  // In the same process: its counters have gone on.
  expect(journey.agent.process).toBe(process);
  expect(await readMetric(url, 'starferry_agent_salvages_total')).toBe(salvages + 1);
  await expectNoLoss(url);
  await process.waitForLog('find out who or what changed them', logMsMax);
}

/** Damages the buffer after a kill; the next process opens it, and everything arrives. */
async function damageWhileStopped(journey: Journey, [, apply]: Damage): Promise<void> {
  const { agent } = journey;
  await withBacklog(journey, async () => {
    await agent.process.kill();
    apply((file) => join(agent.dataFolder, file));
    await agent.start();
  });
  expect(await readMetric(agent.url, 'starferry_agent_salvages_total')).toBe(1);
  await expectNoLoss(agent.url);
  await agent.process.waitForLog('was carried over into a new one', logMsMax);
}

/** With samples in the buffer that nobody else has. */
async function withBacklog(journey: Journey, damage: () => void | Promise<void>): Promise<void> {
  await whileWriting(journey, async () => {
    await deliveredMore(journey, 3);
    await journey.proxy.cut('reset');
    await acknowledgedMore(journey, backlogSamples);
    await damage();
    await acknowledgedMore(journey, backlogSamples);
    await journey.proxy.restore();
    await deliveredMore(journey, 3);
  });
  await expectDelivered(journey.destination, [journey.writer]);
}

async function expectNoLoss(url: string): Promise<void> {
  for (const reason of ['damaged', 'vanished']) {
    const series = `starferry_agent_evicted_samples_total{reason="${reason}"}`;
    expect(await readMetric(url, series)).toBe(0);
  }
}
