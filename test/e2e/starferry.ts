import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { freePort } from '../tools/ports.ts';
import { type RunningProcess, startProcess } from '../tools/processes.ts';
import type { Workspace } from '../tools/workspace.ts';

/** The Node of the packages: whatever runs this file may be too old. */
export const nodeProgram = fileURLToPath(new URL('../../node_modules/.bin/node', import.meta.url));
/** What `starferry` runs. */
export const starferryMain = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

/** Keys of a configuration file, as an operator writes them. */
export type Settings = Record<string, unknown>;

/** An agent or a hub as a process of its own, with a port and a data folder that stay. */
export interface StarferryProcess {
  /** Address without a path; every route is served there. */
  readonly url: string;
  readonly port: number;
  /** Holds the configuration; the working folder of the process. */
  readonly folder: string;
  readonly dataFolder: string;
  /** The one that runs, or ran last. */
  readonly process: RunningProcess;
  /** Starts it again after `process.stop()` or `process.kill()`: same configuration, same data. */
  start(): Promise<void>;
}

export interface AgentOptions {
  /** Also its agent_id, and the subfolder of the workspace. */
  id: string;
  tokenFile: string;
  /** The hub, or a proxy in front of it. */
  hubUrl: string;
  /** Over or beside what is set here. */
  settings?: Settings;
  /** Done once its folders are there, before it starts. */
  prepare?(folders: Folders): void;
  /** Added to its environment. */
  environment?(folders: Folders): Record<string, string>;
  /** A program that runs it, with arguments before its own command. */
  runBy?: readonly string[];
}

export interface Folders {
  folder: string;
  dataFolder: string;
}

export interface HubOptions {
  /** Subfolder of the workspace. */
  name: string;
  agents: { id: string; tokenFile: string; tenants: string[] }[];
  destination: { kind: string; url: string } & Settings;
  settings?: Settings;
  /** As for an agent. */
  runBy?: readonly string[];
}

/** A fresh token in a file that only its owner reads; the same file serves agent and hub. */
export function writeToken(workspace: Workspace, agentId: string): string {
  const path = join(workspace.subfolder('tokens'), `${agentId}.token`);
  writeFileSync(path, `${randomBytes(24).toString('hex')}\n`, { mode: 0o600 });
  return path;
}

/** Starts an agent; resolves when it answers `/-/ready`. Its batches wait half a second. */
export function startAgentProcess(
  workspace: Workspace,
  options: AgentOptions,
): Promise<StarferryProcess> {
  const settings = {
    agent_id: options.id,
    hub: { urls: [options.hubUrl], token_file: options.tokenFile },
    batch: { max_delay: '500ms' },
    ...options.settings,
  };
  return startStarferry(workspace, 'agent', { ...options, name: options.id, settings });
}

/** Starts a hub; resolves when it answers `/-/ready`. */
export function startHubProcess(
  workspace: Workspace,
  options: HubOptions,
): Promise<StarferryProcess> {
  const settings = {
    agents: options.agents.map(({ id, tokenFile, tenants }) => ({
      id,
      token_file: tokenFile,
      tenants,
    })),
    destination: options.destination,
    ...options.settings,
  };
  const { name, runBy = [] } = options;
  return startStarferry(workspace, 'hub', { name, settings, runBy });
}

async function startStarferry(
  workspace: Workspace,
  command: 'agent' | 'hub',
  options: { name: string; settings: Settings } & Pick<
    AgentOptions,
    'prepare' | 'environment' | 'runBy'
  >,
): Promise<StarferryProcess> {
  const { name, settings, prepare, environment, runBy = [] } = options;
  const port = await freePort();
  const folder = workspace.subfolder(name);
  const dataFolder = workspace.subfolder(join(name, 'data'));
  const folders = { folder, dataFolder };
  const address = `127.0.0.1:${port}`;
  const configFile = join(folder, `${command}.yml`);
  writeFileSync(configFile, stringify({ listen: address, data_dir: dataFolder, ...settings }));
  prepare?.(folders);
  const own = [nodeProgram, starferryMain, command, `--config.file=${configFile}`];
  const [program = nodeProgram, ...args] = [...runBy, ...own];
  const launch = () =>
    startProcess(workspace, {
      name,
      folder,
      readyUrl: `http://${address}/-/ready`,
      command: [program, ...args],
      environment: environment?.(folders) ?? {},
    });
  let process = await launch();
  return {
    url: `http://${address}`,
    port,
    ...folders,
    get process() {
      return process;
    },
    start: async () => {
      process = await launch();
    },
  };
}
