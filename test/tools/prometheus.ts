import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { SamplesBySeries } from './compare.ts';
import { debianProgram } from './debian.ts';
import { programVersion } from './debian-suite.ts';
import { freePort } from './ports.ts';
import { type RunningProcess, startProcess } from './processes.ts';
import { configuration, flags, type PrometheusOptions } from './prometheus-config.ts';
import { everySeries, readAllSamples } from './remote-read.ts';
import { readStored, type Stored } from './stored-series.ts';
import type { Workspace } from './workspace.ts';

/** A server whose raw samples can be read back. */
export interface SampleStore {
  /** Every sample with a timestamp in [fromMs, toMs]. */
  readSamples(fromMs: number, toMs: number): Promise<SamplesBySeries>;
}

export interface Prometheus extends SampleStore {
  /** Address without a path. */
  readonly url: string;
  /** As the program says it, `3.5.3+ds1`. */
  readonly version: string;
  readonly process: RunningProcess;
  /** As `readSamples`, with native histograms and exemplars: of a Prometheus 3. */
  readStored(fromMs: number, toMs: number): Promise<Stored>;
}

/** Starts a real Prometheus with a data folder of its own and resolves when it is ready. */
export async function startPrometheus(
  workspace: Workspace,
  options: PrometheusOptions,
): Promise<Prometheus> {
  const program = await debianProgram('prometheus', options.suite);
  const port = await freePort();
  const folder = workspace.subfolder(options.name);
  writeFileSync(join(folder, 'prometheus.yml'), stringify(configuration(options, port)));
  const url = `http://127.0.0.1:${port}`;
  const process = await startProcess(workspace, {
    name: options.name,
    folder,
    readyUrl: `${url}/-/ready`,
    command: [program, ...flags(options, port)],
  });
  const readSamples = (fromMs: number, toMs: number) =>
    readAllSamples(url, everySeries, fromMs, toMs);
  const version = (await programVersion(program)) ?? 'unknown';
  return { url, version, process, readSamples, readStored: (...span) => readStored(url, ...span) };
}
