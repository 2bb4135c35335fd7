import { startTcpProxy, type TcpProxy } from '../tools/tcp-proxy.ts';
import type { Workspace } from '../tools/workspace.ts';
import {
  type AgentOptions,
  type HubOptions,
  type Settings,
  type StarferryProcess,
  startAgentProcess,
  startHubProcess,
  writeToken,
} from './starferry.ts';

/** The tenant an agent of a chain writes into. */
export const chainTenant = 'overseas';

export interface ChainOptions {
  destination: HubOptions['destination'];
  /** Over or beside the agent's usual ones. */
  agentSettings?: Settings;
  agent?: Pick<AgentOptions, 'prepare' | 'environment'>;
}

/** The whole path as processes of their own: agent, a link that tests can spoil, hub. */
export interface Chain {
  agent: StarferryProcess;
  proxy: TcpProxy;
  hub: StarferryProcess;
  /** Where a Prometheus writes to. */
  writeUrl: string;
  tokenFile: string;
}

/** Starts hub, link and agent; resolves when both programs are ready. */
export async function startChain(workspace: Workspace, options: ChainOptions): Promise<Chain> {
  const id = 'agent-one';
  const tokenFile = writeToken(workspace, id);
  const hub = await startHubProcess(workspace, {
    name: 'hub',
    agents: [{ id, tokenFile, tenants: [chainTenant] }],
    destination: options.destination,
  });
  const proxy = await startTcpProxy({ target: { host: '127.0.0.1', port: hub.port } });
  workspace.onClose(() => proxy.close());
  const agent = await startAgentProcess(workspace, {
    id,
    tokenFile,
    hubUrl: `http://127.0.0.1:${proxy.port}`,
    settings: options.agentSettings ?? {},
    ...options.agent,
  });
  return { agent, proxy, hub, writeUrl: `${agent.url}/api/v1/write`, tokenFile };
}
