import { execFileSync } from 'node:child_process';
import { type RunningProcess, startProcess } from '../../test/tools/processes.ts';
import type { Workspace } from '../../test/tools/workspace.ts';
import { type Ends, inNamespace } from './namespaces.ts';
import type { StationProcess } from './station-process.ts';

/** Ports inside the namespaces, which nobody else uses. */
export const SENDER_PORT = 9201;
export const RECEIVER_PORT = 9300;

/** Where a contender is started. */
export interface Place {
  workspace: Workspace;
  ends: Ends;
  near: StationProcess;
  far: StationProcess;
}

/** What stands at the near end and takes the load. */
export interface Sender {
  /** Where remote write 1.0 is taken, seen from the near end. */
  pushUrl: string;
  version: string;
  /** All that is part of it, at both ends. */
  processes: RunningProcess[];
}

/** Starts a program at one end; resolves when `readyUrl` answers 200 there. */
export function startAt(
  { workspace, ends, near, far }: Place,
  end: 'near' | 'far',
  options: { name: string; command: [string, ...string[]]; readyUrl: string },
): Promise<RunningProcess> {
  const station = end === 'near' ? near : far;
  return startProcess(workspace, {
    ...options,
    folder: workspace.subfolder(options.name),
    command: inNamespace(ends[end], options.command),
    isReady: async (url) => (await station.call('get', url)).status === 200,
  });
}

/** The commit of this checkout, with a `+` when files have changed since. */
export function checkoutVersion(): string {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim();
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+';
    return `${git('rev-parse', '--short', 'HEAD')}${changed}`;
  } catch {
    return 'unknown';
  }
}
