import { debianProgram } from './debian.ts';
import { freePort } from './ports.ts';
import { type RunningProcess, startProcess } from './processes.ts';
import type { Workspace } from './workspace.ts';

export interface NodeExporter {
  readonly port: number;
  readonly process: RunningProcess;
}

/** Starts a real node exporter with its default collectors: about 500 series of this machine. */
export async function startNodeExporter(workspace: Workspace): Promise<NodeExporter> {
  const program = await debianProgram('prometheus-node-exporter');
  const port = await freePort();
  const folder = workspace.subfolder('node-exporter');
  const process = await startProcess(workspace, {
    name: 'node-exporter',
    folder,
    readyUrl: `http://127.0.0.1:${port}/`,
    command: [
      program,
      `--web.listen-address=127.0.0.1:${port}`,
      `--collector.textfile.directory=${folder}`,
      // Would ask a system bus that a container does not have.
      '--no-collector.systemd',
    ],
  });
  return { port, process };
}
