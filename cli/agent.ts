import { hostname } from 'node:os';
import { type AgentHost, loadAgentConfig } from '../agent/config.ts';
import { AGENT_LOG_NAME, createLog } from '../base/log.ts';
import { type Command, single } from './command.ts';
import { configFlags } from './config-flags.ts';
import { overridesFrom } from './host-settings.ts';
import { reportConfigErrors } from './report.ts';
import { runService } from './service.ts';

export const agentCommand: Command = {
  name: 'agent',
  usage: 'agent --config.file=F [flags]',
  meaning: 'Takes remote writes, keeps them on disk and ships them to the hub.',
  flags: configFlags('agent'),
  operandsMax: 0,
  async run(flags) {
    const path = single(flags, 'config.file') ?? '';
    const overrides = overridesFrom('agent', flags, process.env);
    const load = () => loadAgentConfig(path, thisHost(), overrides);
    const loaded = load();
    if (loaded.kind === 'errors') return reportConfigErrors(loaded.lines);
    const log = createLog({ level: loaded.value.logLevel, name: AGENT_LOG_NAME });
    // Loaded late: `--help` and a wrong configuration need no native modules.
    const { runAgent } = await import('../agent/main.ts');
    return runService(log, () => runAgent(loaded.value, { log, load }), {
      reloads: true,
    });
  },
};

/** The machine that this process runs on. */
export function thisHost(): AgentHost {
  const inKubernetes = process.env['KUBERNETES_SERVICE_HOST'] !== undefined;
  return { hostName: hostname(), inKubernetes };
}
