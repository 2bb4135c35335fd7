import { X509Certificate } from 'node:crypto';
import type { z } from 'zod';
import { type LoadedConfig, loadConfigFile, type Override } from '../base/config-file.ts';
import { isLoopback, type ListenAddress } from '../base/listen-address.ts';
import { LOG_LEVELS, type LogLevel } from '../base/log.ts';
import {
  choice,
  count,
  duration,
  flag,
  httpUrl,
  list,
  listenAddress,
  pemFile,
  section,
  size,
  text,
  tokenFile,
} from '../base/settings.ts';
import { type BatchConfig, batchSection, toBatchConfig } from './batch-config.ts';
import { FILTER_KEYS, type FilterConfig, filterKeys, toFilterConfig } from './filter-config.ts';
import {
  type LimitsConfig,
  limitsSection,
  toLimitsConfig,
  validationSetting,
} from './limits-config.ts';
import { type LinkConfig, linkSection, toLinkConfig } from './link-config.ts';
import { checkSenders, type SendersConfig, senderKeys, toSenders } from './senders-config.ts';

export interface AgentConfig {
  agentId: string;
  listen: ListenAddress;
  /** Where the status routes are once `listen` is not loopback. */
  adminListen?: ListenAddress | undefined;
  dataDir: string;
  logLevel: LogLevel;
  hub: {
    /** Several names of one hub, or of hubs that stand in for each other. */
    urls: string[];
    /** Empty: none is sent; only for a hub on this machine. */
    token: string;
    caPem?: string | undefined;
    requestTimeoutMs: number;
    connectTimeoutMs: number;
  };
  batch: BatchConfig;
  order: 'oldest_first' | 'live_first';
  buffer: {
    bytesMax: number;
    /** Of these, for what is parked. */
    parkedBytesMax: number;
    /** 0: no limit. */
    ageMaxMs: number;
    whenFull: 'reject' | 'drop_oldest';
    freeDiskBytesMin: number;
    seriesMax: number;
  };
  link: LinkConfig;
  filter: FilterConfig;
  limits: LimitsConfig;
  ingest: {
    senders: SendersConfig;
    /** Compressed. */
    bodyBytesMax: number;
    decodedBytesMax: number;
    requestTimeoutMs: number;
    connectionAgeMaxMs: number;
    /** Memory of requests until their commit; beyond, they are answered 503. */
    inFlightBytesMax: number;
  };
}

/** What the configuration takes from the machine it is read on. */
export interface AgentHost {
  hostName: string;
  inKubernetes: boolean;
}

const MIB = 1024 ** 2;
const AGENT_ID_FORM = '1 to 64 of a-z A-Z 0-9 . _ -';

function agentId({ hostName, inKubernetes }: AgentHost) {
  const id = text(AGENT_ID_FORM, /^[a-zA-Z0-9._-]{1,64}$/);
  const meaning =
    "The agent's name at the hub. By default the host name, except in Kubernetes, where pods " +
    'change theirs and it must be given.';
  // The default goes through the pattern too: not every host name is an agent id.
  return (inKubernetes ? id : id.prefault(hostName)).describe(meaning);
}

const hubSection = (folder: string) =>
  section({
    urls: list(httpUrl({ query: false }), { min: 1 }).describe(
      'Where the hub listens, with a path if a proxy has it under one. Several are tried in turn ' +
        'when one does not answer.',
    ),
    token_file: tokenFile(folder)
      .optional()
      .describe('File with the token that proves who the agent is. Optional for a loopback hub.'),
    ca_file: pemFile(folder, certificateProblem)
      .optional()
      .describe("File with the certificates to trust instead of the system's."),
    allow_plaintext: flag()
      .prefault(false)
      .describe('Permits http:// to a hub that is not loopback: token and data can be read.'),
    request_timeout: duration({ min: 1000, max: 600_000 })
      .prefault('60s')
      .describe(
        'How long a request may last without a byte that moves: the upload of a batch may take any ' +
          'time as long as it goes on, its answer so long after that.',
      ),
    connect_timeout: duration({ min: 100, max: 60_000 })
      .prefault('5s')
      .describe(
        'How long each address of the hub may take to accept a connection. Once round trips of ' +
          'the link are known they decide, so that attempts while it is down are frequent.',
      ),
  });

function certificateProblem(pem: string): string | undefined {
  try {
    new X509Certificate(pem);
    return undefined;
  } catch {
    return 'it holds no PEM certificate';
  }
}

const bufferSection = section({
  max_bytes: size({ min: 16 * MIB })
    .prefault('10GiB')
    .describe('What the buffer may take on disk, the dictionary of label sets included.'),
  max_parked_bytes: size({ min: MIB })
    .optional()
    .describe(
      'What samples that the destination would refuse may take of max_bytes; beyond, the oldest are ' +
        'evicted and counted. They leave before others, too, when max_bytes is reached. By default ' +
        'a quarter of max_bytes.',
    ),
  max_age: duration()
    .prefault('0s')
    .describe(
      'Older samples are evicted and counted; 0 keeps them until acknowledged. Nothing is evicted ' +
        "while the hub's clock does not confirm the agent's; max_bytes holds all the same.",
    ),
  when_full: choice(['reject', 'drop_oldest'])
    .prefault('reject')
    .describe(
      '`reject` answers 503, so that Prometheus keeps new samples in its own log; `drop_oldest` ' +
        'evicts the oldest ones and counts them.',
    ),
  min_free_disk: size()
    .prefault('256MiB')
    .describe('With less free space on the file system of data_dir the buffer counts as full.'),
  max_series: count({ min: 1, max: 100_000_000 })
    .prefault(1_000_000)
    .describe('Label sets in the dictionary; beyond, requests with new series are answered 503.'),
});

const ingestSection = (folder: string) =>
  section({
    ...senderKeys(folder),
    max_body: size({ min: 1024, max: 1024 * MIB })
      .prefault('32MiB')
      .describe('Size of a request as sent, compressed. Larger ones are answered 413.'),
    max_decoded: size({ min: 1024, max: 1024 * MIB })
      .prefault('32MiB')
      .describe('Size of a request after decompression. Larger ones are answered 400.'),
    request_timeout: duration({ min: 100, max: 600_000 })
      .prefault('30s')
      .describe('How long a sender may take for the body of one request.'),
    max_connection_age: duration({ min: 1000 })
      .prefault('5m')
      .describe(
        'Older connections are closed with their next answer, so that senders behind a load ' +
          'balancer find new agents.',
      ),
    max_in_flight: size({ min: MIB })
      .prefault('64MiB')
      .describe(
        'What requests take, decoded or as samples, until their commit; beyond, they are answered ' +
          '503.',
      ),
  }).superRefine(checkSenders);

const agentKeys = (folder: string, host: AgentHost) => ({
  agent_id: agentId(host),
  listen: listenAddress()
    .prefault('127.0.0.1:9201')
    .describe('Where remote writes arrive. While it is loopback, every route is served there.'),
  admin_listen: listenAddress()
    .optional()
    .describe('Where metrics and status are served once `listen` is not loopback.'),
  data_dir: text('the path of a folder', /./)
    .prefault('./agent-data')
    .describe('Folder of the buffer, relative to the working directory.'),
  log_level: choice(LOG_LEVELS).prefault('info').describe('The least important lines to log.'),
  hub: hubSection(folder),
  batch: batchSection.prefault({}),
  order: choice(['oldest_first', 'live_first'])
    .prefault('oldest_first')
    .describe(
      '`oldest_first` keeps the order within each series; with `live_first` fresh samples ' +
        'overtake a backlog, which the destination must accept (an out-of-order window).',
    ),
  buffer: bufferSection.prefault({}),
  link: linkSection.prefault({}),
  ingest: ingestSection(folder).prefault({}),
  validation: validationSetting,
  limits: limitsSection.prefault({}),
  ...filterKeys(folder),
});

/** The file as the operator writes it; `folder` is where paths in it start. */
export function agentSchema(folder: string, host: AgentHost) {
  return section(agentKeys(folder, host)).superRefine(({ hub }, context) => {
    requireSafeHub(hub, context);
  });
}

function requireSafeHub(hub: z.infer<ReturnType<typeof hubSection>>, context: z.RefinementCtx) {
  hub.urls.forEach((url, index) => {
    if (isLoopback(new URL(url).hostname)) return;
    if (hub.token_file === undefined) {
      const message = 'a file with a token, because the hub is not on this machine';
      context.addIssue({ code: 'custom', path: ['hub', 'token_file'], message });
    }
    if (url.startsWith('http:') && !hub.allow_plaintext) {
      const message = 'https:// for a hub that is not on this machine (or allow_plaintext: true)';
      context.addIssue({ code: 'custom', path: ['hub', 'urls', index], message });
    }
  });
}

type AgentFile = z.infer<ReturnType<typeof agentSchema>>;

function toConfig(file: AgentFile): AgentConfig {
  const { hub, batch, buffer, link, ingest } = file;
  return {
    agentId: file.agent_id,
    listen: file.listen,
    adminListen: file.admin_listen,
    dataDir: file.data_dir,
    logLevel: file.log_level,
    hub: {
      urls: hub.urls,
      token: hub.token_file ?? '',
      caPem: hub.ca_file,
      requestTimeoutMs: hub.request_timeout,
      connectTimeoutMs: hub.connect_timeout,
    },
    batch: toBatchConfig(batch),
    order: file.order,
    buffer: {
      bytesMax: buffer.max_bytes,
      parkedBytesMax: buffer.max_parked_bytes ?? Math.floor(buffer.max_bytes / 4),
      ageMaxMs: buffer.max_age,
      whenFull: buffer.when_full,
      freeDiskBytesMin: buffer.min_free_disk,
      seriesMax: buffer.max_series,
    },
    link: toLinkConfig(link),
    filter: toFilterConfig(file),
    limits: toLimitsConfig(file.validation, file.limits),
    ingest: {
      senders: toSenders(ingest),
      bodyBytesMax: ingest.max_body,
      decodedBytesMax: ingest.max_decoded,
      requestTimeoutMs: ingest.request_timeout,
      connectionAgeMaxMs: ingest.max_connection_age,
      inFlightBytesMax: ingest.max_in_flight,
    },
  };
}

/** Turns a file into an `AgentConfig`; paths in it start in `folder`. */
export function agentConfigSchema(folder: string, host: AgentHost): z.ZodType<AgentConfig> {
  return agentSchema(folder, host).transform(toConfig);
}

/** Reads and checks an agent's configuration; every problem is one line. */
export function loadAgentConfig(
  path: string,
  host: AgentHost,
  overrides: readonly Override[] = [],
): LoadedConfig<AgentConfig> {
  return loadConfigFile(path, (folder) => agentConfigSchema(folder, host), overrides, FILTER_KEYS);
}

/** As `loadAgentConfig`, for the filter alone: the file need not say anything of a hub. */
export function loadFilterConfig(path: string, host: AgentHost): LoadedConfig<FilterConfig> {
  const schemaFor = (folder: string) =>
    section({ ...agentKeys(folder, host), hub: hubSection(folder).optional() })
      .superRefine(({ hub }, context) => {
        if (hub !== undefined) requireSafeHub(hub, context);
      })
      .transform(toFilterConfig);
  return loadConfigFile(path, schemaFor, [], FILTER_KEYS);
}
