import { createSecureContext } from 'node:tls';
import type { z } from 'zod';
import { type LoadedConfig, loadConfigFile, type Override } from '../base/config-file.ts';
import { isLoopback, type ListenAddress } from '../base/listen-address.ts';
import { LOG_LEVELS, type LogLevel } from '../base/log.ts';
import {
  choice,
  count,
  duration,
  flag,
  list,
  listenAddress,
  pemFile,
  section,
  size,
  text,
  tokenFile,
} from '../base/settings.ts';
import { tenantName } from '../proto/tenant.ts';
import { type DestinationConfig, destinationSection, toDestination } from './destination-config.ts';

export interface HubConfig {
  listen: ListenAddress;
  /** Where the status routes are once `listen` is not loopback. */
  adminListen?: ListenAddress | undefined;
  tls?: { certPem: string; keyPem: string } | undefined;
  dataDir: string;
  logLevel: LogLevel;
  agents: {
    id: string;
    /** Empty: the agent sends none; only while `listen` is loopback. */
    token: string;
    /** At least one; the first is the default. */
    tenants: string[];
  }[];
  destination: DestinationConfig;
  limits: {
    batchBytesMax: number;
    decodedBytesMax: number;
    heldBytesMax: number;
    seriesPerAgentMax: number;
  };
  /** Bounds of the record of refused samples. */
  refused: {
    bytesMax: number;
    /** 0: not limited. */
    ageMaxMs: number;
  };
}

const MIB = 1024 ** 2;

const tlsSection = (folder: string) =>
  section({
    cert_file: pemFile(folder, (cert) => pemProblem({ cert })).describe(
      'Certificate chain in PEM, the own one first.',
    ),
    key_file: pemFile(folder, (key) => pemProblem({ key })).describe('Its private key in PEM.'),
  }).superRefine((tls, context) => {
    const message = 'the private key of cert_file';
    const mismatch = pemProblem({ cert: tls.cert_file, key: tls.key_file });
    if (mismatch !== undefined) context.addIssue({ code: 'custom', path: ['key_file'], message });
  });

function pemProblem(parts: { cert?: string; key?: string }): string | undefined {
  try {
    createSecureContext(parts);
    return undefined;
  } catch {
    return 'it cannot be used for TLS';
  }
}

const agentSection = (folder: string) =>
  section({
    id: text('1 to 64 of a-z A-Z 0-9 . _ -', /^[a-zA-Z0-9._-]{1,64}$/).describe(
      'The agent_id of that agent.',
    ),
    token_file: tokenFile(folder)
      .optional()
      .describe("File with the agent's token. Optional while `listen` is loopback."),
    tenants: list(tenantName(), { min: 1 })
      .prefault(['anonymous'])
      .describe('The tenants it may write into; the first is its default.'),
  });

const limitsSection = section({
  max_batch: size({ min: 64 * 1024, max: 1024 * MIB })
    .prefault('8MiB')
    .describe('Size of a batch as sent. Larger ones are answered 413.'),
  max_decoded_batch: size({ min: 64 * 1024, max: 4096 * MIB })
    .prefault('64MiB')
    .describe('Size of a batch after decompression. Larger ones are answered 413.'),
  max_held: size({ min: MIB })
    .prefault('256MiB')
    .describe(
      'Data that waits for the destination; beyond, or beyond three quarters for one tenant, 503.',
    ),
  max_series_per_agent: count({ min: 1, max: 100_000_000 })
    .prefault(5_000_000)
    .describe("Label sets kept of one agent's dictionary."),
});

const refusedSection = section({
  max_bytes: size({ min: MIB })
    .prefault('1GiB')
    .describe('What the record of refused samples may hold; beyond, the oldest are dropped.'),
  max_age: duration()
    .prefault('14d')
    .describe('Older records are dropped; 0 keeps them as long as there is room.'),
});

/** The file as the operator writes it; `folder` is where paths in it start. */
export function hubSchema(folder: string) {
  return section({
    listen: listenAddress()
      .prefault('127.0.0.1:9202')
      .describe('Where agents connect. While it is loopback, every route is served there.'),
    admin_listen: listenAddress()
      .optional()
      .describe('Where metrics and status are served; required once `listen` is not loopback.'),
    tls: tlsSection(folder).optional().describe('Certificate and key of `listen`.'),
    allow_plaintext: flag()
      .prefault(false)
      .describe('Permits a `listen` that is not loopback without tls, behind a proxy that has it.'),
    data_dir: text('the path of a folder', /./)
      .prefault('./hub-data')
      .describe('Folder of the dictionaries and of refused.db, relative to the working directory.'),
    log_level: choice(LOG_LEVELS).prefault('info').describe('The least important lines to log.'),
    agents: list(agentSection(folder), { min: 1 }).describe('Who may write.'),
    destination: destinationSection(folder),
    limits: limitsSection.prefault({}),
    refused: refusedSection.prefault({}),
  }).superRefine((file, context) => {
    for (const { path, expected } of [...exposureProblems(file), ...conflicts(file)]) {
      context.addIssue({ code: 'custom', path, message: expected });
    }
  });
}

interface Problem {
  path: (string | number)[];
  expected: string;
}

interface Exposure {
  listen: ListenAddress;
  admin_listen?: ListenAddress | undefined;
  tls?: object | undefined;
  allow_plaintext: boolean;
  agents: { id: string; token_file?: string | undefined }[];
}

/** What is optional only while nobody but this machine can connect. */
function exposureProblems(file: Exposure): Problem[] {
  if (isLoopback(file.listen.host)) return [];
  const problems: Problem[] = [];
  if (file.admin_listen === undefined) {
    problems.push({ path: ['admin_listen'], expected: 'an address, as listen is not loopback' });
  }
  if (file.tls === undefined && !file.allow_plaintext) {
    const expected = 'a section, as listen is not loopback (or allow_plaintext: true)';
    problems.push({ path: ['tls'], expected });
  }
  file.agents.forEach(({ token_file }, index) => {
    if (token_file !== undefined) return;
    const expected = 'a file with a token, as listen is not loopback';
    problems.push({ path: ['agents', index, 'token_file'], expected });
  });
  return problems;
}

function conflicts({ agents }: Pick<Exposure, 'agents'>): Problem[] {
  const problems: Problem[] = [];
  const owners = new Map<string, string>();
  const ids = new Set<string>();
  agents.forEach(({ id, token_file }, index) => {
    const owner = token_file === undefined ? undefined : owners.get(token_file);
    if (owner !== undefined) {
      const expected = `a token of its own: ${owner} has the same`;
      problems.push({ path: ['agents', index, 'token_file'], expected });
    }
    if (ids.has(id)) problems.push({ path: ['agents', index, 'id'], expected: 'a unique id' });
    ids.add(id);
    if (token_file !== undefined) owners.set(token_file, id);
  });
  return problems;
}

type HubFile = z.infer<ReturnType<typeof hubSchema>>;

function toConfig(file: HubFile): HubConfig {
  const { tls, destination, limits, refused } = file;
  return {
    listen: file.listen,
    adminListen: file.admin_listen,
    tls: tls === undefined ? undefined : { certPem: tls.cert_file, keyPem: tls.key_file },
    dataDir: file.data_dir,
    logLevel: file.log_level,
    agents: file.agents.map(({ id, token_file, tenants }) => {
      return { id, token: token_file ?? '', tenants };
    }),
    destination: toDestination(destination),
    limits: {
      batchBytesMax: limits.max_batch,
      decodedBytesMax: limits.max_decoded_batch,
      heldBytesMax: limits.max_held,
      seriesPerAgentMax: limits.max_series_per_agent,
    },
    refused: { bytesMax: refused.max_bytes, ageMaxMs: refused.max_age },
  };
}

/** Turns a file into a `HubConfig`; paths in it start in `folder`. */
export function hubConfigSchema(folder: string): z.ZodType<HubConfig> {
  return hubSchema(folder).transform(toConfig);
}

/** Reads and checks a hub's configuration; every problem is one line. */
export function loadHubConfig(
  path: string,
  overrides: readonly Override[] = [],
): LoadedConfig<HubConfig> {
  return loadConfigFile(path, hubConfigSchema, overrides);
}
