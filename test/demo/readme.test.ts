import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadAgentConfig } from '../../agent/config.ts';
import { loadHubConfig } from '../../hub/config.ts';

const root = join(import.meta.dirname, '../..');
const fixtures = join(root, 'test/fixtures');
const host = { hostName: 'host', inKubernetes: false };
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'starferry-readme-'));
  cpSync(join(fixtures, 'loopback.crt'), join(folder, 'hub.crt'));
  cpSync(join(fixtures, 'loopback.key'), join(folder, 'hub.key'));
  writeFileSync(join(folder, 'sg-prod.token'), 'secret');
  writeFileSync(join(folder, 'token'), 'secret');
});

afterAll(() => rmSync(folder, { recursive: true }));

/** Copies the YAML that begins with the comment `name` into the folder, with its paths there. */
function example(readme: string, name: string): string {
  const text = readFileSync(join(root, readme), 'utf8');
  const blocks = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, block = '']) => block);
  const block = blocks.find((candidate) => candidate.startsWith(`# ${name}\n`));
  if (block === undefined) throw new Error(`${readme} has no ${name}`);
  const path = join(folder, name);
  writeFileSync(path, block.replaceAll('/etc/starferry', folder));
  return path;
}

describe.each(['README.md', 'README.zh-CN.md'])('%s', (readme) => {
  it('shows a hub’s configuration that a hub accepts', () => {
    const loaded = loadHubConfig(example(readme, 'hub.yaml'));
    expect(loaded).toMatchObject({ kind: 'config', value: { agents: [{ id: 'sg-prod' }] } });
  });

  it('shows an agent’s configuration that an agent accepts', () => {
    const loaded = loadAgentConfig(example(readme, 'agent.yaml'), host);
    expect(loaded).toMatchObject({ kind: 'config', value: { agentId: 'sg-prod' } });
  });
});
