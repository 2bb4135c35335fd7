import { mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type AgentConfig, loadAgentConfig } from '../agent/config.ts';
import type { LoadedConfig } from '../base/config-file.ts';
import { type HubConfig, loadHubConfig } from '../hub/config.ts';

const AGENT_ID = 'demo';

/**
 * Both configurations are written as the files an operator would write, into the demo's folder:
 * they go through the same checks, and serve as a start for a configuration of one's own.
 */
export function writeHubConfig(dataDir: string, port: number, destinationUrl: string): HubConfig {
  const path = writeYaml(dataDir, 'hub.yaml', {
    listen: `127.0.0.1:${port}`,
    data_dir: join(dataDir, 'hub'),
    agents: [{ id: AGENT_ID }],
    destination: { kind: 'cortex', url: destinationUrl },
  });
  return checked(loadHubConfig(path));
}

export function writeAgentConfig(
  dataDir: string,
  port: number,
  hubUrl: string,
): () => LoadedConfig<AgentConfig> {
  const path = writeYaml(dataDir, 'agent.yaml', {
    agent_id: AGENT_ID,
    listen: `127.0.0.1:${port}`,
    data_dir: join(dataDir, 'agent'),
    hub: { urls: [hubUrl] },
  });
  return () => loadAgentConfig(path, { hostName: hostname(), inKubernetes: false });
}

function writeYaml(dataDir: string, name: string, config: object): string {
  mkdirSync(dataDir, { recursive: true });
  const path = join(dataDir, name);
  writeFileSync(path, stringify(config));
  return path;
}

/** Only `--destination.url` can be wrong here. */
export function checked<T>(loaded: LoadedConfig<T>): T {
  if (loaded.kind === 'errors') throw new Error(loaded.lines.join('\n'));
  return loaded.value;
}
