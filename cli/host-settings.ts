import type { Override } from '../base/config-file.ts';
import type { Flags } from './flags.ts';

/** A setting that changes from host to host: flags beat the environment, that beats the file. */
export interface HostSetting {
  flag: string;
  variable: string;
  path: readonly string[];
  programs: readonly ('agent' | 'hub')[];
  /** Repeatable as a flag, separated by commas in the environment. */
  many: boolean;
  meaning: string;
}

export const HOST_SETTINGS: readonly HostSetting[] = [
  {
    flag: 'agent.id',
    variable: 'STARFERRY_AGENT_ID',
    path: ['agent_id'],
    programs: ['agent'],
    many: false,
    meaning: "the agent's name at the hub",
  },
  {
    flag: 'hub.url',
    variable: 'STARFERRY_HUB_URL',
    path: ['hub', 'urls'],
    programs: ['agent'],
    many: true,
    meaning: 'where the hub listens; repeatable',
  },
  {
    flag: 'destination.url',
    variable: 'STARFERRY_DESTINATION_URL',
    path: ['destination', 'url'],
    programs: ['hub'],
    many: false,
    meaning: 'where remote write 1.0 is accepted',
  },
  {
    flag: 'listen',
    variable: 'STARFERRY_LISTEN',
    path: ['listen'],
    programs: ['agent', 'hub'],
    many: false,
    meaning: 'host:port to listen on',
  },
  {
    flag: 'data-dir',
    variable: 'STARFERRY_DATA_DIR',
    path: ['data_dir'],
    programs: ['agent', 'hub'],
    many: false,
    meaning: 'folder of what must survive a restart',
  },
  {
    flag: 'log.level',
    variable: 'STARFERRY_LOG_LEVEL',
    path: ['log_level'],
    programs: ['agent', 'hub'],
    many: false,
    meaning: 'the least important lines to log',
  },
];

/** What the flags and, where they are silent, the environment say about `program`. */
export function overridesFrom(
  program: 'agent' | 'hub',
  flags: Flags,
  environment: Readonly<Record<string, string | undefined>>,
): Override[] {
  const overrides: Override[] = [];
  for (const { flag, variable, path, programs, many } of HOST_SETTINGS) {
    if (!programs.includes(program)) continue;
    const variableText = environment[variable];
    // Compose files and manifests often pass a variable that nobody has set as an empty one.
    const fromEnvironment = variableText === '' ? undefined : variableText;
    const value =
      flags[flag] ??
      (many ? fromEnvironment?.split(',').map((url) => url.trim()) : fromEnvironment);
    if (value !== undefined) overrides.push({ path, value });
  }
  return overrides;
}
