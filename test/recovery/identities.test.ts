import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type StarferryProcess, startAgentProcess } from '../e2e/starferry.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { expectDelivered } from './delivery-check.ts';
import { type Journey, startJourney, whileWriting } from './journey.ts';
import { NumberedWriter } from './numbered-writer.ts';
import { readMetric } from './read-metric.ts';

const testMsMax = 60_000;
const eventMsMax = 20_000;
/** Requests of each step: enough for several segments and batches. */
const requests = 10;
const agentId = 'agent-one';

const acknowledgedAtAgent = 'starferry_agent_acknowledged_samples_total';
const divergedAtAgent = 'starferry_agent_events_total{event="diverged"}';
const damagedFilesAtHub = 'starferry_hub_store_damage_total{kind="file"}';
const hubChangedAtAgent = 'starferry_agent_events_total{event="hub changed"}';
const duplicateAtAgent = 'starferry_agent_events_total{event="duplicate agent"}';
const duplicateAtHub = `starferry_hub_events_total{agent="${agentId}",event="duplicate agent"}`;
const divergedAtHub = `starferry_hub_events_total{agent="${agentId}",event="diverged"}`;
const unknownAtHub = `starferry_hub_events_total{agent="${agentId}",event="unknown stream"}`;

describe('no sample comes under a wrong label and nothing acknowledged is lost', () => {
  let workspace: Workspace;
  let journey: Journey;
  let serial: number;

  beforeEach(async () => {
    workspace = new Workspace('identities');
    journey = await startJourney(workspace);
    serial = 1;
  });
  afterEach(() => workspace.close());

  /** A sender of series that nobody has seen before: they get the next ids of its agent. */
  function newWriter(name: string, agent: StarferryProcess = journey.agent): NumberedWriter {
    return new NumberedWriter(`${agent.url}/api/v1/write`, name, serial++);
  }

  /** Another agent of the same agent_id, with what is in the folder `twin/data` by then. */
  function startTwin(): Promise<StarferryProcess> {
    return startAgentProcess(workspace, {
      id: 'twin',
      tokenFile: journey.tokenFile,
      hubUrl: `http://127.0.0.1:${journey.proxy.port}`,
      settings: { agent_id: agentId, batch: { max_delay: '100ms' } },
    });
  }

  /** An agent killed while it has samples that nobody else has: copies differ from what follows. */
  async function killWithBacklog(writer: NumberedWriter): Promise<void> {
    await journey.proxy.cut();
    await writer.write(requests);
    await journey.agent.process.kill();
  }

  test(
    'after an agent was restored from an older copy of its data_dir',
    async () => {
      const { agent, destination, proxy } = journey;
      const copy = join(workspace.folder, 'copy');
      const [early, waiting, late] = [newWriter('early'), newWriter('waiting'), newWriter('late')];
      await early.write(requests);
      await expectDelivered(destination, [early]);
      await killWithBacklog(waiting);
      cpSync(agent.dataFolder, copy, { recursive: true });
      await proxy.restore();
      await agent.start();
      await late.write(requests);
      await expectDelivered(destination, [early, waiting, late]);
      await agent.process.stop();

      rmSync(agent.dataFolder, { recursive: true });
      cpSync(copy, agent.dataFolder, { recursive: true });
      await agent.start();
      const restored = newWriter('restored');
      await restored.write(requests);
      await early.write(requests);
      await expectDelivered(destination, [early, waiting, late, restored]);

      expect(destination.repeated).toBe(0);
      expect(await readMetric(agent.url, divergedAtAgent)).toBeGreaterThanOrEqual(1);
      expect(agent.process.log()).toContain('the hub holds another dictionary under our epoch');
    },
    testMsMax,
  );

  test(
    'after the hub was stopped and its data_dir deleted',
    async () => {
      const { agent, destination, hub } = journey;
      const [early, late] = [newWriter('early'), newWriter('late')];
      await whileWriting({ writer: early }, async () => {
        await until('samples to arrive', eventMsMax, () => destination.requests.length > 3);
        await hub.process.stop();
        rmSync(hub.dataFolder, { recursive: true });
        await hub.start();
      });
      await late.write(requests);
      await expectDelivered(destination, [early, late]);

      expect(await readMetric(agent.url, hubChangedAtAgent)).toBeGreaterThanOrEqual(1);
      expect(await readMetric(hub.url, unknownAtHub)).toBeGreaterThanOrEqual(1);
      expect(agent.process.log()).toContain('the hub has lost its data_dir');
    },
    testMsMax,
  );

  test(
    'after the data_dir of a running hub was deleted and the hub killed later',
    async () => {
      const { agent, destination, hub } = journey;
      const [early, between, late] = [newWriter('early'), newWriter('between'), newWriter('late')];
      await early.write(requests);
      await expectDelivered(destination, [early]);
      rmSync(hub.dataFolder, { recursive: true });
      await between.write(requests);
      await expectDelivered(destination, [early, between]);
      expect(await readMetric(hub.url, damagedFilesAtHub)).toBeGreaterThanOrEqual(1);
      await hub.process.kill();
      await hub.start();
      await late.write(requests);
      await expectDelivered(destination, [early, between, late]);

      // The hub that ran knew who it was, and has written so into the new folder.
      expect(await readMetric(agent.url, hubChangedAtAgent)).toBe(0);
    },
    testMsMax,
  );

  test(
    'while two agents run under one id',
    async () => {
      const { agent, destination, hub } = journey;
      const first = newWriter('first');
      await first.write(requests);
      await expectDelivered(destination, [first]);
      const twin = await startTwin();
      const second = newWriter('second', twin);
      await second.write(requests);
      await expectDelivered(destination, [first, second]);

      await whileWriting({ writer: first }, () => expectDuplicateNamed(agent, hub));
      await second.write(requests);
      await second.write(requests);
      await twin.process.stop();
      await agent.process.kill();
      await agent.start();
      await first.write(requests);
      await expectDelivered(destination, [first, second]);
    },
    testMsMax,
  );

  test(
    'while an agent and a running copy of it speak under one id',
    async () => {
      const { agent, destination, hub, proxy } = journey;
      const [early, waiting] = [newWriter('early'), newWriter('waiting')];
      await early.write(requests);
      await expectDelivered(destination, [early]);
      await killWithBacklog(waiting);
      cpSync(agent.dataFolder, workspace.subfolder('twin/data'), { recursive: true });
      await proxy.restore();
      await agent.start();
      await expectDelivered(destination, [early, waiting]);
      const twin = await startTwin();
      await until('the twin to learn that its backlog is delivered', eventMsMax, async () => {
        return (await readMetric(twin.url, acknowledgedAtAgent)) >= waiting.acknowledged;
      });
      // Both know how much of the dictionary the hub holds, and give the next ids to other series.
      const [first, second] = [newWriter('first'), newWriter('second', twin)];
      await first.write(requests);
      await expectDelivered(destination, [early, waiting, first]);
      await second.write(requests);
      await expectDelivered(destination, [early, waiting, first, second]);
      expect(await readMetric(hub.url, divergedAtHub)).toBeGreaterThanOrEqual(1);
      expect(await readMetric(twin.url, divergedAtAgent)).toBeGreaterThanOrEqual(1);

      await whileWriting({ writer: first }, () => expectDuplicateNamed(agent, hub));
      await twin.process.stop();
      await agent.process.kill();
      await agent.start();
      await first.write(requests);
      await expectDelivered(destination, [early, waiting, first, second]);
    },
    testMsMax,
  );
});

/** Waits until both ends have counted that `agent` was replaced by another; both have logged it. */
async function expectDuplicateNamed(agent: StarferryProcess, hub: StarferryProcess): Promise<void> {
  await until('the duplicate to be counted at both ends', eventMsMax, async () => {
    const atAgent = await readMetric(agent.url, duplicateAtAgent);
    return atAgent > 0 && (await readMetric(hub.url, duplicateAtHub)) > 0;
  });
  expect(agent.process.log()).toContain('another agent has taken over this agent_id');
  expect(hub.process.log()).toContain('two live agents share an id');
}
