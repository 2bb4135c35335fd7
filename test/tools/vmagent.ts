import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { debianProgram } from './debian.ts';
import { freePort } from './ports.ts';
import { type RunningProcess, startProcess } from './processes.ts';
import type { Workspace } from './workspace.ts';

export interface VmagentOptions {
  /** Port on 127.0.0.1 that it scrapes, path /metrics, job `source`. */
  targetPort: number;
  scrapeIntervalMs: number;
  /** Where every sample is remote-written. */
  urls: {
    url: string /** zstd, as vmagent sends it to its own kind; else snappy. */;
    zstd: boolean;
  }[];
}

/** Starts a real vmagent, new enough to send zstd; resolves when it is ready. */
export async function startVmagent(
  workspace: Workspace,
  { targetPort, scrapeIntervalMs, urls }: VmagentOptions,
): Promise<RunningProcess> {
  const program = await debianProgram('vmagent', 'trixie');
  const port = await freePort();
  const folder = workspace.subfolder('vmagent');
  const interval = `${scrapeIntervalMs}ms`;
  const scrape = {
    global: { scrape_interval: interval, scrape_timeout: interval },
    scrape_configs: [
      { job_name: 'source', static_configs: [{ targets: [`127.0.0.1:${targetPort}`] }] },
    ],
  };
  writeFileSync(join(folder, 'scrape.yml'), stringify(scrape));
  return startProcess(workspace, {
    name: 'vmagent',
    folder,
    readyUrl: `http://127.0.0.1:${port}/health`,
    command: [
      program,
      `-httpListenAddr=127.0.0.1:${port}`,
      '-promscrape.config=scrape.yml',
      '-remoteWrite.tmpDataPath=data',
      // With more of them the order of a series is not kept.
      '-remoteWrite.queues=1',
      ...urls.flatMap(({ url, zstd }) => [
        `-remoteWrite.url=${url}`,
        `-remoteWrite.forceVMProto=${zstd}`,
        `-remoteWrite.forcePromProto=${!zstd}`,
      ]),
    ],
  });
}
