import type { Flag } from './flags.ts';
import { HOST_SETTINGS } from './host-settings.ts';

/** The flags of a program that has a configuration file. */
export function configFlags(program: 'agent' | 'hub'): Flag[] {
  const own = HOST_SETTINGS.filter(({ programs }) => programs.includes(program));
  return [
    { name: 'config.file', value: 'F', meaning: 'YAML file, see docs/configuration.md' },
    ...own.map(({ flag, variable, many, meaning }) => {
      return { name: flag, value: '…', meaning: `${meaning} ($${variable})`, many };
    }),
  ];
}
