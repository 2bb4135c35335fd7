import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type AgentHost, loadAgentConfig } from '../../agent/config.ts';
import { agentWarnings } from '../../agent/config-warnings.ts';
import { digestOf } from '../../base/secret-digest.ts';

const folder = mkdtempSync(join(tmpdir(), 'starferry-agent-config-'));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'token'), 's3cret\n');

const host: AgentHost = { hostName: 'web-1', inKubernetes: false };

function load(yaml: string, on: AgentHost = host) {
  const path = join(folder, 'agent.yaml');
  writeFileSync(path, yaml);
  return loadAgentConfig(path, on);
}

function configOf(yaml: string) {
  const loaded = load(yaml);
  if (loaded.kind === 'errors') throw new Error(loaded.lines.join('\n'));
  return loaded.value;
}

function errorsOf(yaml: string, on: AgentHost = host): string[] {
  const loaded = load(yaml, on);
  return loaded.kind === 'errors' ? loaded.lines : [];
}

test('a hub on this machine is all an agent needs to be told', () => {
  expect(configOf('hub: {urls: [http://127.0.0.1:9202]}')).toEqual({
    agentId: 'web-1',
    listen: { host: '127.0.0.1', port: 9201 },
    adminListen: undefined,
    dataDir: './agent-data',
    logLevel: 'info',
    hub: {
      urls: ['http://127.0.0.1:9202'],
      token: '',
      caPem: undefined,
      requestTimeoutMs: 60_000,
      connectTimeoutMs: 5000,
    },
    batch: { maxDelayMs: 5000, samplesMax: 100_000 },
    order: 'oldest_first',
    buffer: {
      bytesMax: 10 * 1024 ** 3,
      parkedBytesMax: 2.5 * 1024 ** 3,
      ageMaxMs: 0,
      whenFull: 'reject',
      freeDiskBytesMin: 256 * 1024 ** 2,
      seriesMax: 1_000_000,
    },
    link: { bytesPerSecondMax: 0, timeZone: 'UTC', overhead: 1, schedule: [], quotas: [] },
    limits: {
      labels: {
        labelNamesMax: 30,
        labelNameBytesMax: 1024,
        labelValueBytesMax: 2048,
        nameScheme: 'legacy',
      },
      series: { perTenantMax: 5_000_000, perMetricMax: 50_000 },
      aheadMaxMs: 600_000,
      exemplarLabelLengthMax: 128,
    },
    filter: {
      externalLabels: [],
      relabelRules: [],
      keepMetrics: [],
      dropMetrics: [],
      dropLabels: [],
    },
    ingest: {
      senders: { defaultTenant: '', users: [], forceTenant: '', tenantMap: new Map() },
      bodyBytesMax: 32 * 1024 ** 2,
      decodedBytesMax: 32 * 1024 ** 2,
      requestTimeoutMs: 30_000,
      connectionAgeMaxMs: 300_000,
      inFlightBytesMax: 64 * 1024 ** 2,
    },
  });
});

test('without validation there are no limits', () => {
  const { limits } = configOf('{hub: {urls: [http://127.0.0.1:1]}, validation: off}');
  expect(limits).toEqual({
    labels: { labelNamesMax: 0, labelNameBytesMax: 0, labelValueBytesMax: 0, nameScheme: 'any' },
    series: { perTenantMax: 0, perMetricMax: 0 },
    aheadMaxMs: 0,
    exemplarLabelLengthMax: 0,
  });
});

test('a regular expression in a list of names is pointed out', () => {
  const lists = 'keep_metrics: [node_*, \'up{a=~"b.*"}\'], drop_metrics: [go_.*]';
  expect(agentWarnings(configOf(`{hub: {urls: [http://127.0.0.1:1]}, ${lists}}`))).toEqual([
    expect.stringContaining(
      'drop_metrics: go_.*: the dot in it is a dot; write {__name__=~"go_.*"}',
    ),
  ]);
});

test('every key reaches the configuration', () => {
  const yaml = `
agent_id: sg-prod
listen: 0.0.0.0:9201
admin_listen: 127.0.0.1:9301
data_dir: /var/lib/agent
log_level: debug
hub: {urls: ["https://hub.example:9202"], token_file: token, request_timeout: 10s,
  connect_timeout: 3s}
batch: {max_delay: 500ms, max_samples: 10}
order: live_first
buffer: {max_bytes: 1GiB, max_parked_bytes: 100MiB, max_age: 2d, when_full: drop_oldest, min_free_disk: 0, max_series: 7}
link: {max_bytes_per_second: 20kB, schedule: [{backlog: false}], time_zone: Asia/Hong_Kong, overhead: 1.08,
  daily_quota: 10MB, monthly_quota: 200MB, live_reserve: 25%}
ingest: {default_tenant: overseas, max_body: 1MiB, max_decoded: 2MiB, request_timeout: 1s,
  max_connection_age: 1m, max_in_flight: 3MiB, tenant_map: {a: overseas-a}, users: [
  {name: prom, password_file: token, tenants: [a, b]},
  {name: vm, token_file: token, tenants: [c]}]}
validation: on
limits: {max_label_names_per_series: 31, max_label_name_length: 32, max_label_value_length: 33,
  name_validation_scheme: utf8, creation_grace_period: 1h, max_exemplar_label_length: 99, max_series_per_tenant: 34,
  max_series_per_metric: 35}
external_labels: {cloud: aliyun, zone: 010, none: ""}
write_relabel_configs:
- {action: Drop, source_labels: [a, b], separator: ",", regex: x}
- {target_label: t, replacement: 010}
keep_metrics: [node_*]
keep_metrics_file: metrics
drop_metrics: [go_info]
drop_metrics_file: metrics
drop_labels: [id*]`;
  writeFileSync(join(folder, 'metrics'), '# comment\n\n up \r\nup{a="#"}\nup\n');
  const file = { path: join(folder, 'metrics'), entries: ['up', 'up{a="#"}'] };
  const rule = { separator: ';', regex: '(.*)', modulus: 0n, replacement: '$1' };
  expect(configOf(yaml)).toEqual({
    agentId: 'sg-prod',
    listen: { host: '0.0.0.0', port: 9201 },
    adminListen: { host: '127.0.0.1', port: 9301 },
    dataDir: '/var/lib/agent',
    logLevel: 'debug',
    hub: {
      urls: ['https://hub.example:9202'],
      token: 's3cret',
      caPem: undefined,
      requestTimeoutMs: 10_000,
      connectTimeoutMs: 3000,
    },
    batch: { maxDelayMs: 500, samplesMax: 10 },
    order: 'live_first',
    buffer: {
      bytesMax: 1024 ** 3,
      parkedBytesMax: 100 * 1024 ** 2,
      ageMaxMs: 172_800_000,
      whenFull: 'drop_oldest',
      freeDiskBytesMin: 0,
      seriesMax: 7,
    },
    link: {
      bytesPerSecondMax: 20_000,
      timeZone: 'Asia/Hong_Kong',
      overhead: 1.08,
      schedule: [
        {
          days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'],
          fromMinute: 0,
          toMinute: 1440,
          bytesPerSecondMax: 20_000,
          backlog: false,
        },
      ],
      quotas: [
        { period: 'day', bytesMax: 10_000_000, reserveBytes: 2_500_000 },
        { period: 'month', bytesMax: 200_000_000, reserveBytes: 50_000_000 },
      ],
    },
    limits: {
      labels: {
        labelNamesMax: 31,
        labelNameBytesMax: 32,
        labelValueBytesMax: 33,
        nameScheme: 'utf8',
      },
      series: { perTenantMax: 34, perMetricMax: 35 },
      aheadMaxMs: 3_600_000,
      exemplarLabelLengthMax: 99,
    },
    filter: {
      externalLabels: [
        { name: 'cloud', value: 'aliyun' },
        { name: 'zone', value: '010' },
      ],
      relabelRules: [
        {
          ...rule,
          action: 'drop',
          sourceLabels: ['a', 'b'],
          separator: ',',
          regex: 'x',
          targetLabel: '',
        },
        { ...rule, action: 'replace', sourceLabels: [], targetLabel: 't', replacement: '010' },
      ],
      keepMetrics: ['node_*'],
      keepMetricsFile: file,
      dropMetrics: ['go_info'],
      dropMetricsFile: file,
      dropLabels: ['id*'],
    },
    ingest: {
      senders: {
        defaultTenant: 'overseas',
        users: [
          { name: 'prom', scheme: 'basic', digest: digestOf('s3cret'), tenants: ['a', 'b'] },
          { name: 'vm', scheme: 'bearer', digest: digestOf('s3cret'), tenants: ['c'] },
        ],
        forceTenant: '',
        tenantMap: new Map([['a', 'overseas-a']]),
      },
      bodyBytesMax: 1024 ** 2,
      decodedBytesMax: 2 * 1024 ** 2,
      requestTimeoutMs: 1000,
      connectionAgeMaxMs: 60_000,
      inFlightBytesMax: 3 * 1024 ** 2,
    },
  });
});

test('plain http and a missing token are refused once the hub is not on this machine', () => {
  expect(errorsOf('hub: {urls: [http://127.0.0.1:1, http://hub.example:9202]}')).toEqual([
    'hub.token_file: missing: expected a file with a token, because the hub is not on this machine',
    'hub.urls[1]: "http://hub.example:9202": expected https:// for a hub that is not on this ' +
      'machine (or allow_plaintext: true)',
  ]);
  const plain = '{urls: [http://hub.example], token_file: token, allow_plaintext: true}';
  expect(configOf(`hub: ${plain}`).hub.token).toBe('s3cret');
});

test('in Kubernetes the agent id must be given, elsewhere a strange host name is refused', () => {
  const yaml = 'hub: {urls: [http://127.0.0.1:1]}';
  expect(errorsOf(yaml, { hostName: 'pod-x7f', inKubernetes: true })).toEqual([
    expect.stringMatching(/^agent_id: missing: expected 1 to 64 of /),
  ]);
  expect(errorsOf(yaml, { hostName: 'a host', inKubernetes: false })).toHaveLength(1);
});

test('a file of certificates that holds none is refused', () => {
  expect(errorsOf('hub: {urls: [https://127.0.0.1:1], ca_file: token}')).toEqual([
    'hub.ca_file: "token": expected the path of a PEM file; it holds no PEM certificate',
  ]);
});

test('a hub URL may have a path and no query: the paths of its routes are put behind it', () => {
  const hub = (url: string) => `hub: {urls: ['${url}']}`;
  expect(configOf(hub('http://127.0.0.1:9202/edge/')).hub.urls).toHaveLength(1);
  const [line] = errorsOf(hub('http://127.0.0.1:9202/?k=v'));
  expect(line).toContain('hub.urls');
  expect(line).toContain('query');
});
