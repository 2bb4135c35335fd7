import { loadAgentConfig } from '../agent/config.ts';
import { readYaml } from '../base/config-file.ts';
import { loadHubConfig } from '../hub/config.ts';
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
    const loaded =
      program === 'agent'
        ? loadAgentConfig(path, thisHost(), overrides)
        : loadHubConfig(path, overrides);
    if (loaded.kind === 'errors') return reportConfigErrors(loaded.lines);
    process.stdout.write(`${path}: OK (${program})\n`);
    return 0;
  },
};

/** An agent has a hub, a hub has a destination. */
function programOf(document: unknown): 'agent' | 'hub' | undefined {
  if (typeof document !== 'object' || document === null) return undefined;
  if ('destination' in document) return 'hub';
  return 'hub' in document ? 'agent' : undefined;
}
