import { expect, test } from 'vitest';
import { Agents } from '../../hub/agents.ts';

const agents = new Agents([
  { id: 'sg', token: 'one:two', tenants: ['a'] },
  { id: 'open', token: '', tenants: ['b'] },
]);

const basic = (credentials: string) => `Basic ${Buffer.from(credentials).toString('base64')}`;

test('an agent is known by its id and token together', () => {
  expect(agents.authenticate(basic('sg:one:two'))?.id).toBe('sg');
  expect(agents.authenticate(basic('sg:one:two').replace('Basic', 'bASIC'))?.id).toBe('sg');
  for (const wrong of [
    'sg:one',
    'sg:',
    'sg',
    ':one:two',
    'SG:one:two',
    'open:one:two',
    'sg:one:two ',
  ]) {
    expect(agents.authenticate(basic(wrong))).toBeUndefined();
  }
});

test('an agent without a token sends none, and no unknown id passes without one', () => {
  expect(agents.authenticate(basic('open:'))?.id).toBe('open');
  expect(agents.authenticate(basic('nobody:'))).toBeUndefined();
  expect(agents.authenticate(basic(':'))).toBeUndefined();
});

test('what is no Basic header proves nothing', () => {
  for (const header of [undefined, '', 'Basic', 'Basic  c2c6', 'Bearer c2c6', 'Basic ñ']) {
    expect(agents.authenticate(header)).toBeUndefined();
  }
  expect(agents.authenticate(`Basic ${'A'.repeat(5000)}`)).toBeUndefined();
});
