import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkConfig } from '../../base/config-file.ts';
import { hubConfigSchema } from '../../hub/config.ts';
import { runHub } from '../../hub/main.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { Workspace } from '../tools/workspace.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace('hub-main');
});
afterEach(() => workspace.close());

/** What a hub logs at its start. */
async function startLines(agents: object[]): Promise<unknown[]> {
  const file = {
    listen: '127.0.0.1:0',
    data_dir: workspace.subfolder('data'),
    agents,
    destination: { kind: 'cortex', url: 'http://127.0.0.1:1/' },
  };
  const config = checkConfig(file, hubConfigSchema('.'));
  if (config.kind === 'errors') throw new Error(config.lines.join('\n'));
  const { log, lines } = memoryLog();
  const hub = await runHub(config.value, { log });
  await hub.close(0);
  return lines.map(({ msg }) => msg);
}

test('a hub warns at its start of agents that share a tenant, and of nothing otherwise', async () => {
  expect(await startLines([{ id: 'sg' }, { id: 'fra', tenants: ['fra'] }])).toEqual([
    'the hub is ready',
    'the hub has stopped',
  ]);
  expect(await startLines([{ id: 'sg' }, { id: 'fra' }])).toEqual([
    expect.stringMatching(/^agents: tenant anonymous is shared by the agents sg, fra: /),
    'the hub is ready',
    'the hub has stopped',
  ]);
});
