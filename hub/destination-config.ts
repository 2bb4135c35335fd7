import type { z } from 'zod';
import {
  choice,
  count,
  duration,
  httpUrl,
  passwordFile,
  section,
  text,
  tokenFile,
} from '../base/settings.ts';
import type { DestinationKind } from '../proto/outcome.ts';
import type { WriteProtocol } from '../proto/remote-write/write-encoder.ts';

export interface DestinationConfig {
  kind: DestinationKind;
  protocol: WriteProtocol;
  url: string;
  tenantHeader: string;
  /** The whole Authorization header. */
  authorization?: string | undefined;
  samplesPerRequestMax: number;
  timeoutMs: number;
  connectTimeoutMs: number;
  /** Of each agent and tenant: requests in flight at most. */
  lanes: number;
  /** Of the whole hub: requests in flight at most. */
  inFlightMax: number;
  haClusterLabel: string;
  haReplicaLabel: string;
  /** What the destination takes behind the newest sample, as the operator declares it; 0: nothing. */
  outOfOrderTimeWindowMs: number;
  /** 0: not limited. */
  sampleAgeMaxMs: number;
  /** How far in the future, by the hub's clock, samples may be. */
  sampleAheadMaxMs: number;
  /** 0: a request that the destination keeps failing on is never set aside. */
  setAsideAfterMs: number;
  /** Of each tenant; 0: what else of a refused request is refused is never searched. */
  refusalSearchPerMinute: number;
}

const KINDS = [
  'cortex',
  'mimir',
  'prometheus',
  'thanos',
  'victoriametrics',
  'generic',
] as const satisfies DestinationKind[];

const PROTOCOLS = ['v1', 'v2'] as const satisfies WriteProtocol[];

const labelName = text('the name of a label', /^[a-zA-Z_][a-zA-Z0-9_]{0,255}$/);

/** The section `destination` of a hub's file; `folder` is where paths in it start. */
export function destinationSection(folder: string) {
  return section({
    kind: choice(KINDS).describe('Decides what an answer of 400 means; `generic` when unlisted.'),
    protocol: choice(PROTOCOLS)
      .prefault('v1')
      .describe('Version of remote write that `url` takes: 1.0, or 2.0 with start timestamps too.'),
    url: httpUrl().describe('Where remote write is accepted.'),
    tenant_header: text('the name of an HTTP header', /^[a-zA-Z0-9-]{1,100}$/)
      .prefault('X-Scope-OrgID')
      .describe('Header that carries the tenant.'),
    bearer_token_file: tokenFile(folder).optional().describe('File with a bearer token.'),
    basic_auth: section({
      username: text('a name without colon', /^[^:\p{Cc}]{1,255}$/u).describe('User name.'),
      password_file: passwordFile(folder).describe('File with the password.'),
    })
      .optional()
      .describe('User name and password, instead of a bearer token.'),
    max_samples_per_request: count({ min: 1, max: 50_000 })
      .prefault(2000)
      .describe('Samples in one request; beyond its burst size Cortex refuses a request for ever.'),
    timeout: duration({ min: 100, max: 600_000 })
      .prefault('30s')
      .describe('How long the destination may take for one request, once a connection stands.'),
    connect_timeout: duration({ min: 100, max: 60_000 })
      .prefault('5s')
      .describe('How long each address of the destination may take to accept a connection.'),
    lanes: count({ min: 1, max: 64 })
      .prefault(4)
      .describe('Requests in flight for each agent and tenant; a series stays on its lane.'),
    max_in_flight: count({ min: 1, max: 10_000 })
      .prefault(64)
      .describe('Requests in flight altogether; three quarters of them for one tenant.'),
    ha_cluster_label: labelName
      .prefault('cluster')
      .describe("The HA tracker's cluster label; kinds cortex and mimir only."),
    ha_replica_label: labelName
      .prefault('__replica__')
      .describe("The HA tracker's replica label; kinds cortex and mimir only."),
    out_of_order_time_window: duration()
      .prefault('0s')
      .describe(
        'The out-of-order window that is configured at the destination. 0: none; then agents ' +
          "that share a tenant lose an older backlog to each other's live samples.",
      ),
    max_sample_age: duration()
      .prefault('0s')
      .describe(
        'Agents keep older samples instead of sending them. 0: not limited, until the ' +
          'destination refuses samples that are too far behind.',
      ),
    max_sample_ahead: duration()
      .prefault('5m')
      .describe(
        "Agents hold back samples further in the future, by the hub's clock: one wrong clock " +
          'would advance the newest sample of the whole tenant.',
      ),
    set_aside_after: duration()
      .prefault('1h')
      .describe(
        'A request that the destination answers 500 for so long while it accepts others is split, ' +
          'and its guilty samples are kept in the record of refused samples. 0: never.',
      ),
    refusal_search_per_minute: count({ min: 0, max: 1_000_000 })
      .prefault(6000)
      .describe(
        'Requests a minute and tenant to find out which samples a Cortex, Mimir or Thanos that ' +
          'names one has refused; beyond it the others count as `unknown`. 0: never.',
      ),
  }).superRefine(({ bearer_token_file, basic_auth }, context) => {
    if (bearer_token_file === undefined || basic_auth === undefined) return;
    const message = 'either basic_auth or bearer_token_file';
    context.addIssue({ code: 'custom', path: ['basic_auth'], message });
  });
}

type DestinationSection = z.infer<ReturnType<typeof destinationSection>>;

export function toDestination(destination: DestinationSection): DestinationConfig {
  return {
    kind: destination.kind,
    protocol: destination.protocol,
    url: destination.url,
    tenantHeader: destination.tenant_header,
    authorization: authorization(destination),
    samplesPerRequestMax: destination.max_samples_per_request,
    timeoutMs: destination.timeout,
    connectTimeoutMs: destination.connect_timeout,
    lanes: destination.lanes,
    inFlightMax: destination.max_in_flight,
    haClusterLabel: destination.ha_cluster_label,
    haReplicaLabel: destination.ha_replica_label,
    outOfOrderTimeWindowMs: destination.out_of_order_time_window,
    sampleAgeMaxMs: destination.max_sample_age,
    sampleAheadMaxMs: destination.max_sample_ahead,
    setAsideAfterMs: destination.set_aside_after,
    refusalSearchPerMinute: destination.refusal_search_per_minute,
  };
}

function authorization({ bearer_token_file, basic_auth }: DestinationSection) {
  if (bearer_token_file !== undefined) return `Bearer ${bearer_token_file}`;
  if (basic_auth === undefined) return undefined;
  const credentials = Buffer.from(`${basic_auth.username}:${basic_auth.password_file}`);
  return `Basic ${credentials.toString('base64')}`;
}
