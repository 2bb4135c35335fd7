import { spawnSync } from 'node:child_process';
import type { Workspace } from '../tools/workspace.ts';

/**
 * Puts a file system of its own, in memory, on the folder `path`; the workspace takes it away.
 *
 * @throws Error where the test may not mount
 */
export function mountSmallDisk(workspace: Workspace, path: string, mib: number): void {
  run('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'tmpfs', path]);
  workspace.onClose(() => run('umount', [path]));
}

function run(program: string, args: string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status === 0) return;
  throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr} (are you root?)`);
}
