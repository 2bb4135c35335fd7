import { afterEach, beforeEach, expect, test } from 'vitest';
import { agentConfigSchema } from '../../agent/config.ts';
import { runAgent } from '../../agent/main.ts';
import { checkConfig } from '../../base/config-file.ts';
import { label, sample } from '../proto/wire-fixture.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { Workspace } from '../tools/workspace.ts';
import { body } from './ingest-fixture.ts';

const STOP_MS = 4000;

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace('agent-main');
});
afterEach(() => workspace.close());

test('a stop with something waiting is over at its deadline, with the buffer closed', async () => {
  const file = {
    agent_id: 'sg',
    listen: '127.0.0.1:0',
    data_dir: workspace.subfolder('data'),
    hub: { urls: ['http://127.0.0.1:1'] },
    log_level: 'fatal',
  };
  const load = () =>
    checkConfig(file, agentConfigSchema('.', { hostName: 'sg', inKubernetes: false }));
  const loaded = load();
  if (loaded.kind === 'errors') throw new Error(loaded.lines.join('\n'));
  const { log } = memoryLog();
  const agent = await runAgent(loaded.value, { log, load });
  const content = body([...label('__name__', 'up'), ...sample(Date.now(), 1n)]);
  const url = `${agent.url}/api/v1/write`;
  expect((await fetch(url, { method: 'POST', body: content })).status).toBe(204);
  const beganMs = performance.now();
  await agent.close(STOP_MS);
  const tookMs = performance.now() - beganMs;
  expect(tookMs).toBeGreaterThan(0.7 * STOP_MS);
  expect(tookMs).toBeLessThan(STOP_MS);
});
