import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { SamplesBySeries } from './compare.ts';
import { debianProgram } from './debian.ts';
import { freePort } from './ports.ts';
import { type RunningProcess, startProcess } from './processes.ts';
import { everySeries, readAllSamples } from './remote-read.ts';
import type { Workspace } from './workspace.ts';

export interface ScrapeTarget {
  job: string;
  /** On 127.0.0.1, path /metrics. */
  port: number;
}

export interface PrometheusOptions {
  /** Subfolder of the workspace, name in messages. */
  name: string;
  scrapeTargets?: ScrapeTarget[];
  /** Adds itself as a target, job `prometheus`. */
  scrapesItself?: boolean;
  scrapeIntervalMs?: number;
  /** Where every sample is remote-written, each URL with a queue of its own. */
  remoteWriteUrls?: string[];
  /** Accepts remote write at `/api/v1/write`. */
  receiver?: boolean;
  externalLabels?: Record<string, string>;
  /** Prometheus notation, `10m`; absent: samples out of order are refused. */
  outOfOrderTimeWindow?: string;
  extraFlags?: string[];
}

/** A server whose raw samples can be read back. */
export interface SampleStore {
  /** Every sample with a timestamp in [fromMs, toMs]. */
  readSamples(fromMs: number, toMs: number): Promise<SamplesBySeries>;
}

export interface Prometheus extends SampleStore {
  /** Address without a path. */
  readonly url: string;
  readonly process: RunningProcess;
}

/** Starts a real Prometheus with a data folder of its own and resolves when it is ready. */
export async function startPrometheus(
  workspace: Workspace,
  options: PrometheusOptions,
): Promise<Prometheus> {
  const program = await debianProgram('prometheus');
  const port = await freePort();
  const folder = workspace.subfolder(options.name);
  writeFileSync(join(folder, 'prometheus.yml'), stringify(configuration(options, port)));
  const url = `http://127.0.0.1:${port}`;
  const process = await startProcess(workspace, {
    name: options.name,
    folder,
    readyUrl: `${url}/-/ready`,
    command: [
      program,
      '--config.file=prometheus.yml',
      '--storage.tsdb.path=data',
      `--web.listen-address=127.0.0.1:${port}`,
      ...(options.receiver === true ? ['--web.enable-remote-write-receiver'] : []),
      ...(options.extraFlags ?? []),
    ],
  });
  const readSamples = (fromMs: number, toMs: number) =>
    readAllSamples(url, everySeries, fromMs, toMs);
  return { url, process, readSamples };
}

function configuration(options: PrometheusOptions, port: number): object {
  const interval = `${options.scrapeIntervalMs ?? 1000}ms`;
  const targets = [...(options.scrapeTargets ?? [])];
  if (options.scrapesItself === true) targets.push({ job: 'prometheus', port });
  return {
    global: {
      scrape_interval: interval,
      scrape_timeout: interval,
      external_labels: options.externalLabels ?? {},
    },
    scrape_configs: targets.map((target) => ({
      job_name: target.job,
      static_configs: [{ targets: [`127.0.0.1:${target.port}`] }],
    })),
    remote_write: (options.remoteWriteUrls ?? []).map((url, index) => ({
      url,
      name: `destination-${index}`,
      // The default of five seconds would only make every test slower.
      queue_config: { batch_send_deadline: '500ms' },
    })),
    ...(options.outOfOrderTimeWindow === undefined
      ? {}
      : { storage: { tsdb: { out_of_order_time_window: options.outOfOrderTimeWindow } } }),
  };
}
