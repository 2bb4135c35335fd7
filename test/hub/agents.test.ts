import { expect, test } from 'vitest';
import { Agents } from '../../hub/agents.ts';

const agents = new Agents([
  { id: 'sg', token: 'one:two', tenants: ['a'] },
  { id: 'open', token: '', tenants: ['b'] },
]);

/** The id of the agent that is known by a header, or what is wrong with it. */
function judged(header: string | undefined): string {
  const result = agents.authenticate(header);
  return result.kind === 'known' ? result.agent.id : result.fault;
}

const basic = (credentials: string) => `Basic ${Buffer.from(credentials).toString('base64')}`;

test('an agent is known by its id and token together', () => {
  expect(judged(basic('sg:one:two'))).toBe('sg');
  expect(judged(basic('sg:one:two').replace('Basic', 'bASIC'))).toBe('sg');
  for (const wrong of ['sg:one', 'sg:', 'open:one:two', 'sg:one:two ']) {
    expect(judged(basic(wrong))).toBe('wrong_token');
  }
  for (const wrong of [':one:two', 'SG:one:two']) {
    expect(judged(basic(wrong))).toBe('unknown_agent');
  }
  expect(judged(basic('sg'))).toBe('unreadable');
});

test('an agent without a token sends none, and no unknown id passes without one', () => {
  expect(judged(basic('open:'))).toBe('open');
  expect(judged(basic('nobody:'))).toBe('unknown_agent');
  expect(judged(basic(':'))).toBe('unknown_agent');
});

test('what is no Basic header proves nothing', () => {
  expect(judged(undefined)).toBe('missing');
  for (const header of ['', 'Basic', 'Basic  c2c6', 'Bearer c2c6', 'Basic ñ']) {
    expect(judged(header)).toBe('unreadable');
  }
  expect(judged(`Basic ${'A'.repeat(5000)}`)).toBe('unreadable');
});

test('an id is named only when it is one of the configuration: it may be a token', () => {
  const named = (header: string) => {
    const result = agents.authenticate(header);
    return result.kind === 'refused' ? result.agent : 'known';
  };
  expect(named(basic('sg:wrong'))).toBe('sg');
  expect(named(basic('one:two'))).toBeUndefined();
});
