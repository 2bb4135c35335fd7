import type { DebianSuite } from './debian-suite.ts';

export interface ScrapeTarget {
  job: string;
  /** On 127.0.0.1, path /metrics. */
  port: number;
}

export interface PrometheusOptions {
  /** Subfolder of the workspace, name in messages. */
  name: string;
  /** A newer one than the machine's own Debian has. */
  suite?: DebianSuite;
  /** Scrapes and sends, but stores nothing that could be read back. */
  agent?: boolean;
  /** Scrapes, keeps and sends native histograms and exemplars too; needs a suite. */
  native?: boolean;
  scrapeTargets?: ScrapeTarget[];
  /** Adds itself as a target, job `prometheus`. */
  scrapesItself?: boolean;
  scrapeIntervalMs?: number;
  /** Where every sample is remote-written, each URL with a queue of its own. */
  remoteWriteUrls?: string[];
  /** Version of the remote write it sends; 1 when absent. */
  remoteWriteVersion?: 1 | 2;
  /** Accepts remote write at `/api/v1/write`. */
  receiver?: boolean;
  externalLabels?: Record<string, string>;
  /** Prometheus notation, `10m`; absent: samples out of order are refused. */
  outOfOrderTimeWindow?: string;
  extraFlags?: string[];
}

const exemplarsMax = 100_000;

/** Feature names unknown to a version are only warned about, so each gets its own alone. */
const nativeFeatures: Record<DebianSuite, string[]> = {
  trixie: ['native-histograms', 'exemplar-storage'],
  forky: ['native-histograms', 'exemplar-storage', 'metadata-wal-records'],
};

/** Settings of a scrape that keep a classic histogram beside the native one made of it. */
const nativeScrape: Record<DebianSuite, object> = {
  trixie: { scrape_classic_histograms: true },
  forky: { always_scrape_classic_histograms: true, convert_classic_histograms_to_nhcb: true },
};

/** The flags, `--config.file` included: the folder of the process is its working folder. */
export function flags(options: PrometheusOptions, port: number): string[] {
  const features = options.native === true ? [...nativeFeatures[suiteOf(options)]] : [];
  const mode: string[] = [];
  if (options.agent !== true) mode.push('--storage.tsdb.path=data');
  else {
    mode.push('--storage.agent.path=data');
    if (suiteOf(options) === 'trixie') features.push('agent');
    else mode.push('--agent');
  }
  return [
    '--config.file=prometheus.yml',
    `--web.listen-address=127.0.0.1:${port}`,
    ...mode,
    ...(features.length === 0 ? [] : [`--enable-feature=${features.join(',')}`]),
    ...(options.receiver === true ? ['--web.enable-remote-write-receiver'] : []),
    ...(options.extraFlags ?? []),
  ];
}

/** What stands in prometheus.yml. */
export function configuration(options: PrometheusOptions, port: number): object {
  const interval = `${options.scrapeIntervalMs ?? 1000}ms`;
  const native = options.native === true;
  const targets = [...(options.scrapeTargets ?? [])];
  if (options.scrapesItself === true) targets.push({ job: 'prometheus', port });
  return {
    global: {
      scrape_interval: interval,
      scrape_timeout: interval,
      external_labels: options.externalLabels ?? {},
      // Only protobuf carries native histograms.
      ...(native ? { scrape_protocols: ['PrometheusProto', 'PrometheusText0.0.4'] } : {}),
    },
    scrape_configs: targets.map((target) => ({
      job_name: target.job,
      static_configs: [{ targets: [`127.0.0.1:${target.port}`] }],
      ...(native ? nativeScrape[suiteOf(options)] : {}),
    })),
    remote_write: (options.remoteWriteUrls ?? []).map((url, index) => ({
      url,
      name: `destination-${index}`,
      queue_config: queue(options),
      ...(native ? { send_exemplars: true, send_native_histograms: true } : {}),
      ...(options.remoteWriteVersion === 2
        ? { protobuf_message: 'io.prometheus.write.v2.Request' }
        : {}),
    })),
    ...storage(options),
  };
}

/**
 * The default deadline of five seconds would only make every test slower. What an agent has sent
 * can be seen at its destination alone: on one way, all that is older has arrived with the newest.
 */
function queue({ agent }: PrometheusOptions): object {
  return { batch_send_deadline: '500ms', ...(agent === true ? { max_shards: 1 } : {}) };
}

function storage({ outOfOrderTimeWindow, native, agent }: PrometheusOptions): object {
  const settings = {
    ...(outOfOrderTimeWindow === undefined
      ? {}
      : { tsdb: { out_of_order_time_window: outOfOrderTimeWindow } }),
    ...(native === true && agent !== true ? { exemplars: { max_exemplars: exemplarsMax } } : {}),
  };
  return Object.keys(settings).length === 0 ? {} : { storage: settings };
}

function suiteOf({ name, suite }: PrometheusOptions): DebianSuite {
  if (suite === undefined) throw new Error(`${name}: the machine's own Prometheus is too old`);
  return suite;
}
