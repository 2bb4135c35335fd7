import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadAgentConfig } from '../../agent/config.ts';
import { agentWarnings } from '../../agent/config-warnings.ts';

const folder = mkdtempSync(join(tmpdir(), 'starferry-senders-config-'));
afterAll(() => rmSync(folder, { recursive: true }));
writeFileSync(join(folder, 'one'), 's3cret-one\n');
writeFileSync(join(folder, 'two'), 's3cret-two\n');
writeFileSync(join(folder, 'lines'), 'one\ntwo\n');

const BAD_TENANTS = [
  ['a b', 'a/b', 'a|b', 'a\\\\b', '.', '..', '__markers__', 'user-index.json.gz', 'ü'],
  ['', 'a'.repeat(151)],
].flat();

/** Of an agent's file that says little but `ingest`. */
function load(ingest: string, listen = '127.0.0.1:9201') {
  const path = join(folder, 'agent.yaml');
  const yaml = `{hub: {urls: [http://127.0.0.1:1]}, listen: "${listen}", ingest: ${ingest}}`;
  writeFileSync(path, yaml);
  return loadAgentConfig(path, { hostName: 'web-1', inKubernetes: false });
}

function errorsOf(ingest: string): string[] {
  const loaded = load(ingest);
  return loaded.kind === 'errors' ? loaded.lines : [];
}

describe('a tenant that Cortex would refuse is refused', () => {
  test.each([
    ['default_tenant', (tenant: string) => `{default_tenant: "${tenant}"}`],
    ['force_tenant', (tenant: string) => `{force_tenant: "${tenant}"}`],
    ['tenant_map.a', (tenant: string) => `{tenant_map: {a: "${tenant}"}}`],
    [
      'users[0].tenants[1]',
      (tenant: string) => `{users: [{name: u, token_file: one, tenants: [a, "${tenant}"]}]}`,
    ],
  ])('in ingest.%s', (key, ingest) => {
    for (const tenant of BAD_TENANTS) {
      const [line, ...more] = errorsOf(ingest(tenant));
      expect(line).toContain(`ingest.${key}: `);
      expect(line).toContain('expected 1 to 150 of a-z A-Z 0-9');
      expect(more).toEqual([]);
    }
  });

  test('on the left of ingest.tenant_map', () => {
    for (const tenant of BAD_TENANTS) {
      expect(errorsOf(`{tenant_map: {"${tenant}": a}}`)).toEqual([
        expect.stringMatching(
          /^ingest\.tenant_map\..*: "a": expected the name on the left to be 1/,
        ),
      ]);
    }
  });
});

test('names like those of every object are tenants like others', () => {
  const loaded = load('{tenant_map: {constructor: a, toString: b}}');
  const map = loaded.kind === 'config' ? loaded.value.ingest.senders.tenantMap : new Map();
  expect(Array.from(map)).toEqual([
    ['constructor', 'a'],
    ['toString', 'b'],
  ]);
});

test('tenants are mapped or forced, not both', () => {
  expect(errorsOf('{force_tenant: a, tenant_map: {b: c}}')).toEqual([
    'ingest.force_tenant: "a": expected nothing beside ingest.tenant_map: names are either ' +
      'mapped or forced',
  ]);
});

describe('a user', () => {
  test('has either a password or a token', () => {
    const both = '{name: u, password_file: one, token_file: two, tenants: [a]}';
    for (const user of [both, '{name: u, tenants: [a]}']) {
      expect(errorsOf(`{users: [${user}]}`)).toEqual([
        expect.stringMatching(
          /^ingest\.users\[0\]\.password_file: .*expected either this or token/,
        ),
      ]);
    }
  });

  test('has at least one tenant and a name that fits into Basic authentication', () => {
    expect(errorsOf('{users: [{name: "a:b", token_file: one, tenants: []}]}')).toEqual([
      'ingest.users[0].name: "a:b": expected 1 to 64 visible ASCII characters without a colon',
      'ingest.users[0].tenants: []: expected a list of at least 1',
    ]);
  });

  test('has a name of its own', () => {
    const users = ['one', 'two'].map((file) => `{name: u, password_file: ${file}, tenants: [a]}`);
    expect(errorsOf(`{users: [${users}]}`)).toEqual([
      'ingest.users[1].name: "u": expected a name that no other user has',
    ]);
  });

  test('has a token of its own, while two may have the same password', () => {
    const users = (key: string) =>
      `{users: [{name: u, ${key}: one, tenants: [a]}, {name: v, ${key}: one, tenants: [b]}]}`;
    expect(errorsOf(users('token_file'))).toEqual([
      'ingest.users[1].token_file: "one": expected a token of its own: u has the same',
    ]);
    expect(errorsOf(users('password_file'))).toEqual([]);
  });

  test('whose secret cannot be read is named, and the secret is not', () => {
    const lines = errorsOf(`{users: [
      {name: u, token_file: lines, tenants: [a]}, {name: v, password_file: none, tenants: [a]}]}`);
    expect(lines).toEqual([
      expect.stringMatching(/^ingest\.users\[0\]\.token_file: "lines": .*not one visible line/),
      expect.stringMatching(/^ingest\.users\[1\]\.password_file: "none": .*ENOENT/),
    ]);
  });

  test('leaves no secret in the configuration', () => {
    const loaded = load(`{users: [
      {name: u, token_file: one, tenants: [a]}, {name: v, password_file: two, tenants: [a]}]}`);
    expect(loaded.kind).toBe('config');
    expect(JSON.stringify(loaded)).not.toContain('s3cret');
  });
});

describe('the operator is warned', () => {
  const users = 'users: [{name: u, token_file: one, tenants: [a]}]';

  function warningsOf(ingest: string, listen?: string): string[] {
    const loaded = load(ingest, listen);
    return loaded.kind === 'config' ? agentWarnings(loaded.value) : loaded.lines;
  }

  test('of secrets in plain text once the agent listens on the network', () => {
    expect(warningsOf(`{${users}}`, '0.0.0.0:9201')).toEqual([
      expect.stringMatching(
        /^ingest\.users: their passwords and tokens cross the network in plain/,
      ),
    ]);
    expect(warningsOf(`{${users}}`)).toEqual([]);
    expect(warningsOf('{}', '0.0.0.0:9201')).toEqual([]);
  });

  test('of a default tenant that is never used', () => {
    const unused = (key: string) => `ingest.default_tenant: it is never used, as ${key} decides`;
    expect(warningsOf(`{default_tenant: a, ${users}}`)).toEqual([unused('ingest.users')]);
    expect(warningsOf('{default_tenant: a, force_tenant: b}')).toEqual([
      unused('ingest.force_tenant'),
    ]);
    expect(warningsOf('{default_tenant: a, tenant_map: {a: b}}')).toEqual([]);
  });
});
