import { loadAgentConfig } from '../agent/config.ts';
import { agentWarnings } from '../agent/config-warnings.ts';
import { type Override, readYaml } from '../base/config-file.ts';
import { loadHubConfig } from '../hub/config.ts';
import { sharedTenantWarnings } from '../hub/shared-tenants.ts';
import { thisHost } from './agent.ts';
import type { Command } from './command.ts';
import { overridesFrom } from './host-settings.ts';
import { reportConfigErrors } from './report.ts';

export const checkConfigCommand: Command = {
  name: 'check-config',
  usage: 'check-config F',
  meaning: 'Checks a configuration file of an agent or a hub and names every problem.',
  flags: [],
  operandsMax: 1,
  async run(_flags, [path = '']) {
    const read = readYaml(path);
    if (read.kind === 'errors') return reportConfigErrors(read.lines);
    const program = programOf(read.value);
    if (program === undefined) {
      return reportConfigErrors([`${path}: neither hub: (an agent) nor destination: (a hub)`]);
    }
    // With the environment, because the program would start with it too.
    const overrides = overridesFrom(program, {}, process.env);
    const checked = program === 'agent' ? checkAgent(path, overrides) : checkHub(path, overrides);
    if (checked.kind === 'errors') return reportConfigErrors(checked.lines);
    for (const warning of checked.warnings) process.stderr.write(`warning: ${warning}\n`);
    process.stdout.write(`${path}: OK (${program})\n`);
    return 0;
  },
};

type Checked = { kind: 'errors'; lines: string[] } | { kind: 'valid'; warnings: string[] };

function checkAgent(path: string, overrides: readonly Override[]): Checked {
  const loaded = loadAgentConfig(path, thisHost(), overrides);
  if (loaded.kind === 'errors') return loaded;
  return { kind: 'valid', warnings: agentWarnings(loaded.value) };
}

function checkHub(path: string, overrides: readonly Override[]): Checked {
  const loaded = loadHubConfig(path, overrides);
  if (loaded.kind === 'errors') return loaded;
  return { kind: 'valid', warnings: sharedTenantWarnings(loaded.value) };
}

/** An agent has a hub, a hub has a destination. */
function programOf(document: unknown): 'agent' | 'hub' | undefined {
  if (typeof document !== 'object' || document === null) return undefined;
  if ('destination' in document) return 'hub';
  return 'hub' in document ? 'agent' : undefined;
}
