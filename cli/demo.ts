import { resolve } from 'node:path';
import { createLog } from '../base/log.ts';
import { type Command, single } from './command.ts';
import { runService } from './service.ts';

export const demoCommand: Command = {
  name: 'demo',
  usage: 'demo [flags]',
  meaning: 'Runs an agent, a hub and a small destination in one process, to try things out.',
  flags: [
    {
      name: 'destination.url',
      value: 'URL',
      meaning: 'write to this Cortex instead of the embedded destination',
    },
    { name: 'data-dir', value: 'DIR', meaning: 'folder of all data (default ./demo-data)' },
  ],
  operandsMax: 0,
  async run(flags) {
    // The demo prints its own lines: only what needs attention may come between them.
    const log = createLog({ level: 'warn', name: 'starferry-demo' });
    const destinationUrl = single(flags, 'destination.url');
    const dataDir = resolve(single(flags, 'data-dir') ?? 'demo-data');
    const { runDemo } = await import('../demo/main.ts');
    return runService(log, () => runDemo({ destinationUrl, dataDir, log }));
  },
};
