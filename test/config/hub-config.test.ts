import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { loadHubConfig } from '../../hub/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'starferry-hub-config-'));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'token'), 's3cret\n');
writeFileSync(join(folder, 'other-token'), 'oth3r\n');
const certFile = fileURLToPath(new URL('../fixtures/loopback.crt', import.meta.url));
const keyFile = fileURLToPath(new URL('../fixtures/loopback.key', import.meta.url));

const minimal = `
agents: [{id: sg-prod}]
destination: {kind: cortex, url: "http://cortex:9009/api/v1/push"}`;

function load(yaml: string) {
  const path = join(folder, 'hub.yaml');
  writeFileSync(path, yaml);
  return loadHubConfig(path);
}

function configOf(yaml: string) {
  const loaded = load(yaml);
  if (loaded.kind === 'errors') throw new Error(loaded.lines.join('\n'));
  return loaded.value;
}

function errorsOf(yaml: string): string[] {
  const loaded = load(yaml);
  return loaded.kind === 'errors' ? loaded.lines : [];
}

test('agents and a destination are all a hub on loopback needs to be told', () => {
  expect(configOf(minimal)).toEqual({
    listen: { host: '127.0.0.1', port: 9202 },
    adminListen: undefined,
    tls: undefined,
    dataDir: './hub-data',
    logLevel: 'info',
    agents: [{ id: 'sg-prod', token: '', tenants: ['anonymous'] }],
    destination: {
      kind: 'cortex',
      protocol: 'v1',
      url: 'http://cortex:9009/api/v1/push',
      tenantHeader: 'X-Scope-OrgID',
      authorization: undefined,
      samplesPerRequestMax: 2000,
      timeoutMs: 30_000,
      connectTimeoutMs: 5000,
      lanes: 4,
      inFlightMax: 64,
      haClusterLabel: 'cluster',
      haReplicaLabel: '__replica__',
      outOfOrderTimeWindowMs: 0,
      sampleAgeMaxMs: 0,
      sampleAheadMaxMs: 300_000,
      setAsideAfterMs: 3_600_000,
      refusalSearchPerMinute: 6000,
    },
    limits: {
      batchBytesMax: 8 * 1024 ** 2,
      decodedBytesMax: 64 * 1024 ** 2,
      heldBytesMax: 256 * 1024 ** 2,
      seriesPerAgentMax: 5_000_000,
    },
    refused: { bytesMax: 1024 ** 3, ageMaxMs: 14 * 86_400_000 },
  });
});

test('every key reaches the configuration', () => {
  const config = configOf(`
listen: 0.0.0.0:9202
admin_listen: 127.0.0.1:9203
tls: {cert_file: ${certFile}, key_file: ${keyFile}}
data_dir: /var/lib/hub
log_level: warn
agents:
  - {id: a, token_file: token, tenants: [overseas, other]}
  - {id: b, token_file: other-token}
destination: {kind: prometheus, protocol: v2, url: "https://prometheus/api/v1/write", tenant_header: X-Tenant,
  bearer_token_file: token, max_samples_per_request: 10, timeout: 5s, connect_timeout: 2s, lanes: 2, max_in_flight: 3,
  ha_cluster_label: c, ha_replica_label: r, out_of_order_time_window: 2h,
  max_sample_age: 30m, max_sample_ahead: 1m, set_aside_after: 10m, refusal_search_per_minute: 10}
limits: {max_batch: 1MiB, max_decoded_batch: 2MiB, max_held: 3MiB, max_series_per_agent: 4}
refused: {max_bytes: 5MiB, max_age: 1d}`);
  expect(config.tls?.certPem).toMatch(/^-----BEGIN CERTIFICATE-----/);
  expect(config.tls?.keyPem).toMatch(/^-----BEGIN PRIVATE KEY-----/);
  expect({ ...config, tls: undefined }).toEqual({
    listen: { host: '0.0.0.0', port: 9202 },
    adminListen: { host: '127.0.0.1', port: 9203 },
    tls: undefined,
    dataDir: '/var/lib/hub',
    logLevel: 'warn',
    agents: [
      { id: 'a', token: 's3cret', tenants: ['overseas', 'other'] },
      { id: 'b', token: 'oth3r', tenants: ['anonymous'] },
    ],
    destination: {
      kind: 'prometheus',
      protocol: 'v2',
      url: 'https://prometheus/api/v1/write',
      tenantHeader: 'X-Tenant',
      authorization: 'Bearer s3cret',
      samplesPerRequestMax: 10,
      timeoutMs: 5000,
      connectTimeoutMs: 2000,
      lanes: 2,
      inFlightMax: 3,
      haClusterLabel: 'c',
      haReplicaLabel: 'r',
      outOfOrderTimeWindowMs: 7_200_000,
      sampleAgeMaxMs: 1_800_000,
      sampleAheadMaxMs: 60_000,
      setAsideAfterMs: 600_000,
      refusalSearchPerMinute: 10,
    },
    limits: {
      batchBytesMax: 1024 ** 2,
      decodedBytesMax: 2 * 1024 ** 2,
      heldBytesMax: 3 * 1024 ** 2,
      seriesPerAgentMax: 4,
    },
    refused: { bytesMax: 5 * 1024 ** 2, ageMaxMs: 86_400_000 },
  });
});

test('a hub that others can reach needs TLS, tokens and an address for its status', () => {
  expect(errorsOf(`listen: :9202${minimal}`)).toEqual([
    'admin_listen: missing: expected an address, as listen is not loopback',
    'tls: missing: expected a section, as listen is not loopback (or allow_plaintext: true)',
    'agents[0].token_file: missing: expected a file with a token, as listen is not loopback',
  ]);
});

test('two agents may share neither id nor token', () => {
  const agents = 'agents: [{id: a, token_file: token}, {id: a, token_file: token}]';
  expect(errorsOf(minimal.replace(/agents: .*/, agents))).toEqual([
    'agents[1].token_file: "token": expected a token of its own: a has the same',
    'agents[1].id: "a": expected a unique id',
  ]);
});

test('a password becomes a basic Authorization header, and not beside a bearer token', () => {
  const basic = 'basic_auth: {username: me, password_file: token}';
  const withBasic = minimal.replace('kind:', `${basic}, kind:`);
  const expected = `Basic ${Buffer.from('me:s3cret').toString('base64')}`;
  expect(configOf(withBasic).destination.authorization).toBe(expected);
  expect(errorsOf(withBasic.replace('kind:', 'bearer_token_file: token, kind:'))).toEqual([
    expect.stringMatching(/^destination\.basic_auth: .*expected either basic_auth or bearer_token/),
  ]);
});

test('a private key that does not belong to the certificate is refused', () => {
  const tls = `tls: {cert_file: ${certFile}, key_file: ${certFile}}`;
  expect(errorsOf(tls + minimal)).toEqual([
    expect.stringMatching(/^tls\.key_file: .* it cannot be used for TLS$/),
  ]);
});
