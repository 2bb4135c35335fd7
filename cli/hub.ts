import { createLog } from '../base/log.ts';
import { loadHubConfig } from '../hub/config.ts';
import { type Command, single } from './command.ts';
import { configFlags } from './config-flags.ts';
import { overridesFrom } from './host-settings.ts';
import { reportConfigErrors } from './report.ts';
import { runService } from './service.ts';

export const hubCommand: Command = {
  name: 'hub',
  usage: 'hub --config.file=F [flags]',
  meaning: 'Takes batches from agents and writes their samples to the destination.',
  flags: configFlags('hub'),
  operandsMax: 0,
  async run(flags) {
    const path = single(flags, 'config.file') ?? '';
    const loaded = loadHubConfig(path, overridesFrom('hub', flags, process.env));
    if (loaded.kind === 'errors') return reportConfigErrors(loaded.lines);
    const log = createLog({ level: loaded.value.logLevel, name: 'starferry-hub' });
    // Loaded late: `--help` and a wrong configuration need no native modules.
    const { runHub } = await import('../hub/main.ts');
    return runService(log, () => runHub(loaded.value, { log }));
  },
};
