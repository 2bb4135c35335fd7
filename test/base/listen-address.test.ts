import { expect, test } from 'vitest';
import { isLoopback, parseListenAddress } from '../../base/listen-address.ts';

test.each([
  ['127.0.0.1:9201', { host: '127.0.0.1', port: 9201 }],
  [':9201', { host: '', port: 9201 }],
  ['[::1]:9201', { host: '::1', port: 9201 }],
  ['hub.example:0', { host: 'hub.example', port: 0 }],
])('%s is an address', (text, address) => {
  expect(parseListenAddress(text)).toEqual(address);
});

test.each(['', '9201', 'host', 'host:', 'host:65536', '::1:9201', 'a b:1', 'http://a:1'])(
  '"%s" is none',
  (text) => {
    expect(parseListenAddress(text)).toBeUndefined();
  },
);

test('only addresses of this machine are loopback', () => {
  const loopback = ['127.0.0.1', '127.8.8.8', 'localhost', '::1', '[::1]', '::ffff:127.0.0.1'];
  expect(loopback.filter((host) => !isLoopback(host))).toEqual([]);
  const others = ['', '0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example', 'localhost.example'];
  expect(others.filter(isLoopback)).toEqual([]);
});
