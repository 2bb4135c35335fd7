import { describe, expect, it } from 'vitest';
import type { SendersConfig, SenderUser } from '../../agent/senders-config.ts';
import { digestOf } from '../../base/secret-digest.ts';
import { good, open, post, startIngest } from './ingest-fixture.ts';

const start = (senders: Partial<SendersConfig> = {}) => startIngest({}, 1000, senders);

const prom: SenderUser = {
  name: 'prom',
  scheme: 'basic',
  digest: digestOf('pässw:rd 1'),
  tenants: ['team-a', 'team-b'],
};
const vmagent: SenderUser = {
  name: 'vmagent',
  scheme: 'bearer',
  digest: digestOf('t0ken'),
  tenants: ['team-c'],
};
const USERS = { users: [prom, vmagent] };

function basic(name: string, password: string): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
}

const asProm = { authorization: basic('prom', 'pässw:rd 1') };
const asVmagent = { authorization: 'Bearer t0ken' };
const into = (tenant: string) => ({ 'x-scope-orgid': tenant });

/** Tenants that samples were stored for, in order. */
function tenants({ buffer }: Awaited<ReturnType<typeof start>>): string[] {
  return buffer.samples.map((sample) => sample.split(' ', 1)[0]!);
}

describe('without users, the tenant', () => {
  it('is that of X-Scope-OrgID, else the configured one', async () => {
    const fixture = await start({ defaultTenant: 'house' });
    for (const headers of [into("team-a_1.*'()!"), {}, into(''), into('a'.repeat(150))]) {
      expect((await post(fixture.url, good, { headers })).status).toBe(204);
    }
    expect(tenants(fixture)).toEqual(["team-a_1.*'()!", 'house', 'house', 'a'.repeat(150)]);
  });

  it('is that of X-Scope-OrgID whatever credentials come along', async () => {
    const fixture = await start();
    const headers = { ...into('a'), authorization: 'Bearer whatever' };
    expect((await post(fixture.url, good, { headers })).status).toBe(204);
    expect(tenants(fixture)).toEqual(['a']);
  });

  it.each([
    'a b',
    'a/b',
    'a\\b',
    'a,b',
    'a:b',
    '.',
    '..',
    '__markers__',
    'user-index.json.gz',
    'é',
    'x'.repeat(151),
  ])('cannot be %s: 400 names the header, the value and the rule', async (tenant) => {
    const { url, buffer, logLines } = await start({ defaultTenant: 'house' });
    const reply = await post(url, good, { headers: into(tenant) });
    expect(reply.status).toBe(400);
    const value = tenant.replace('é', '?').slice(0, 60);
    expect(reply.text).toContain(`X-Scope-OrgID: "${value}`);
    expect(reply.text).toContain('is not a tenant: expected 1 to 150 of a-z A-Z 0-9');
    expect(reply.text.length).toBeLessThan(250);
    expect(buffer.appends).toBe(0);
    expect(logLines).toHaveLength(1);
  });

  it('cannot be several: 400 says so', async () => {
    const { url, buffer } = await start();
    const joined = await post(url, good, { headers: into('a|b') });
    expect([joined.status, joined.text]).toEqual([
      400,
      'X-Scope-OrgID: "a|b" names several tenants, which is for queries: a write goes into one\n',
    ]);
    for (const twice of [
      ['a', 'b'],
      ['a', 'a'],
    ]) {
      const repeated = await post(url, good, { headers: { 'x-scope-orgid': twice } });
      expect([repeated.status, repeated.text]).toEqual([
        400,
        'X-Scope-OrgID: given 2 times: a write goes into one\n',
      ]);
    }
    expect(buffer.appends).toBe(0);
  });
});

describe('a tenant', () => {
  it('that is mapped gets its other name, once; others are kept', async () => {
    const tenantMap = new Map([
      ['team-a', 'overseas'],
      ['overseas', 'elsewhere'],
      ['house', 'main'],
    ]);
    const fixture = await start({ tenantMap, defaultTenant: 'house' });
    for (const headers of [into('team-a'), into('overseas'), into('team-b'), {}]) {
      expect((await post(fixture.url, good, { headers })).status).toBe(204);
    }
    expect(tenants(fixture)).toEqual(['overseas', 'elsewhere', 'team-b', 'main']);
  });

  it('that is forced is written into whatever a request names', async () => {
    const fixture = await start({ forceTenant: 'overseas', defaultTenant: 'house' });
    for (const headers of [into('team-a'), {}]) {
      expect((await post(fixture.url, good, { headers })).status).toBe(204);
    }
    expect(tenants(fixture)).toEqual(['overseas', 'overseas']);
  });

  it('is judged as the sender names it, before it is mapped', async () => {
    const tenantMap = new Map([
      ['team-a', 'overseas-a'],
      ['other', 'team-a'],
    ]);
    const fixture = await start({ ...USERS, tenantMap });
    const mapped = await post(fixture.url, good, { headers: asProm });
    expect(mapped.status).toBe(204);
    const own = await post(fixture.url, good, { headers: { ...asProm, ...into('team-b') } });
    expect(own.status).toBe(204);
    for (const name of ['other', 'overseas-a']) {
      const reply = await post(fixture.url, good, { headers: { ...asProm, ...into(name) } });
      expect(reply.status).toBe(403);
    }
    expect(tenants(fixture)).toEqual(['overseas-a', 'team-b']);
  });
});

describe('with users, a request', () => {
  it('goes into the first tenant of the user, or into another one of its own', async () => {
    const fixture = await start({ ...USERS, defaultTenant: 'house' });
    for (const headers of [
      asProm,
      { ...asProm, ...into('team-b') },
      { ...asProm, ...into('') },
      asVmagent,
      { authorization: asProm.authorization.replace('Basic', 'bASIC ') },
      { authorization: asVmagent.authorization.replace('Bearer', 'bearer') },
    ]) {
      expect((await post(fixture.url, good, { headers })).status).toBe(204);
    }
    const expected = ['team-a', 'team-b', 'team-a', 'team-c', 'team-a', 'team-c'];
    expect(tenants(fixture)).toEqual(expected);
  });

  it.each([
    ['no credentials', undefined],
    ['an unknown user', basic('nobody', 'pässw:rd 1')],
    ['an unknown user without a password', basic('nobody', '')],
    ['a wrong password', basic('prom', 'pässw:rd')],
    ['no password', basic('prom', '')],
    ['another case of the name', basic('Prom', 'pässw:rd 1')],
    ['a password without a name', basic('', 'pässw:rd 1')],
    ['no colon', `Basic ${Buffer.from('prom').toString('base64')}`],
    ['a wrong token', 'Bearer t0ken1'],
    ['an empty token', 'Bearer '],
    ['a password as token', `Bearer ${Buffer.from('pässw:rd 1').toString('base64')}`],
    ['a token as password', basic('vmagent', 't0ken')],
    ['another scheme', 'Digest t0ken'],
    ['no scheme', 't0ken'],
    ['garbage', 'Basic !!'],
  ])('with %s is answered 401, always in the same words', async (_, authorization) => {
    const { url, buffer, counts, logLines } = await start(USERS);
    const headers = {
      ...into('team-a'),
      ...(authorization === undefined ? {} : { authorization }),
    };
    const reply = await post(url, good, { headers });
    expect(reply.status).toBe(401);
    expect(reply.headers['www-authenticate']).toBe('Basic realm="starferry"');
    expect(reply.text).toBe('a known user and its password, or a known token, is required\n');
    expect(buffer.appends).toBe(0);
    expect(counts).toEqual({ 'answered 401': 1 });
    expect(logLines).toHaveLength(1);
  });

  it('into a tenant that is not the user’s is answered 403 with its name', async () => {
    const { url, buffer, logLines } = await start(USERS);
    const reply = await post(url, good, { headers: { ...asProm, ...into('team-c') } });
    expect([reply.status, reply.text]).toEqual([
      403,
      'X-Scope-OrgID: user prom may not write into tenant team-c\n',
    ]);
    expect(buffer.appends).toBe(0);
    expect(logLines.join()).toContain('user prom may not write into tenant team-c');
  });

  it('that is refused is logged once a minute, with the address and without the secret', async () => {
    const { url, logLines } = await start(USERS);
    for (const password of ['hunter2', 'hunter3', 'hunter4']) {
      const headers = { authorization: basic('prom', password) };
      expect((await post(url, good, { headers })).status).toBe(401);
    }
    expect(logLines).toHaveLength(1);
    expect(JSON.parse(logLines[0]!)).toMatchObject({ from: '127.0.0.1', status: 401 });
    expect(logLines[0]).not.toMatch(/hunter|prom|Basic/);
  });

  it('is answered before its body has come', async () => {
    const { url } = await start(USERS);
    const { request, reply } = open(url, { headers: { 'content-length': 1_000_000 } });
    request.flushHeaders();
    expect((await reply).status).toBe(401);
    request.destroy();
  });
});
