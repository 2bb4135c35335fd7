import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadConfigFile, type Override } from '../../base/config-file.ts';
import {
  count,
  duration,
  httpUrl,
  list,
  listenAddress,
  passwordFile,
  section,
  size,
  text,
  tokenFile,
} from '../../base/settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'starferry-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const schema = (base: string) =>
  section({
    delay: duration({ min: 100, max: 300_000 }).prefault('5s'),
    room: size({ min: 1024 }).optional(),
    lanes: count({ min: 1, max: 64 }).optional(),
    listen: listenAddress().optional(),
    url: httpUrl().optional(),
    name: text('a name', /^[a-z0-9]+$/).optional(),
    urls: list(httpUrl(), { min: 1 }).optional(),
    token_file: tokenFile(base).optional(),
    password_file: passwordFile(base).optional(),
    inner: section({ when_full: text('a word', /^\w+$/).prefault('reject') }).prefault({}),
  });

function load(yaml: string, overrides: Override[] = []) {
  const path = join(folder, 'config.yaml');
  writeFileSync(path, yaml);
  return loadConfigFile(path, schema, overrides);
}

function errorsOf(yaml: string, overrides: Override[] = []): string[] {
  const loaded = load(yaml, overrides);
  return loaded.kind === 'errors' ? loaded.lines : [];
}

function configOf(yaml: string, overrides: Override[] = []) {
  const loaded = load(yaml, overrides);
  if (loaded.kind === 'errors') throw new Error(loaded.lines.join('\n'));
  return loaded.value;
}

describe('a good file', () => {
  test('is read with its units, an empty one is all defaults', () => {
    expect(configOf('delay: 1m30s\nroom: 10GiB\nlisten: "[::1]:9201"')).toEqual({
      delay: 90_000,
      room: 10 * 1024 ** 3,
      listen: { host: '::1', port: 9201 },
      inner: { when_full: 'reject' },
    });
    expect(configOf('')).toEqual({ delay: 5000, inner: { when_full: 'reject' } });
  });

  test('may have sections whose keys are all commented out', () => {
    expect(configOf('inner:\n#  when_full: x\nroom:').inner).toEqual({ when_full: 'reject' });
  });

  test('finds its secrets beside it, without the newline that editors add', () => {
    writeFileSync(join(folder, 'token'), 's3cret\n');
    writeFileSync(join(folder, 'password'), 'two wörds\r\n');
    const value = configOf('token_file: token\npassword_file: password');
    expect([value.token_file, value.password_file]).toEqual(['s3cret', 'two wörds']);
  });

  test('yields to overrides, which need no section in the file', () => {
    const overrides = [
      { path: ['delay'], value: '1s' },
      { path: ['inner', 'when_full'], value: 'drop' },
    ];
    expect(configOf('delay: 3s', overrides)).toEqual({ delay: 1000, inner: { when_full: 'drop' } });
  });
});

describe('a bad file', () => {
  test('gets one line for every problem, with path, value and what is expected', () => {
    writeFileSync(join(folder, 'empty'), '\n');
    const yaml = [
      'delay: 5',
      'room: 1.5GiB',
      'lanes: 65',
      'listen: localhost',
      'url: https://me:secret@example.com/',
      'name: 007',
      'urls: []',
      'token_file: empty',
      'password_file: absent',
      'inner: {when_ful: reject}',
      'colour: red',
    ].join('\n');
    expect(errorsOf(yaml)).toEqual([
      'delay: 5: expected a duration such as 250ms, 15s, 1h30m or 1d, 100ms to 5m',
      'room: "1.5GiB": expected a size such as 512KiB, 10GiB, 1MB or plain bytes, at least 1KiB',
      'lanes: 65: expected a whole number, 1 to 64',
      'listen: "localhost": expected host:port such as 127.0.0.1:9201, :9201 or [::1]:9201',
      'url: "https://…@example.com/": expected an http:// or https:// URL without user name, ' +
        'password or fragment',
      'name: 7: expected a name (in quotes if it consists of digits)',
      'urls: []: expected a list of at least 1',
      'token_file: "empty": expected the path of a file with a token; it is not one visible line',
      expect.stringMatching(/^password_file: "absent": .* file with a password; ENOENT: no such/),
      'inner.when_ful: unknown key: perhaps when_full?',
      expect.stringMatching(/^colour: unknown key: known here are delay, room, lanes, /),
    ]);
  });

  test('never shows the contents of a secret', () => {
    writeFileSync(join(folder, 'lines'), 'hush\nhush\n');
    expect(errorsOf('token_file: lines').join()).not.toContain('hush');
  });

  test('with a key given twice is refused with its line', () => {
    expect(errorsOf('delay: 1s\ndelay: 2s')).toEqual([
      expect.stringMatching(/config\.yaml: Map keys must be unique at line 2/),
    ]);
  });

  test('that is not YAML, not a mapping or not there is refused', () => {
    expect(errorsOf('delay: [')[0]).toMatch(/config\.yaml: .* at line 1/);
    expect(errorsOf('- a')).toEqual(['the file: ["a"]: expected a section with keys']);
    expect(loadConfigFile(join(folder, 'none.yaml'), schema)).toEqual({
      kind: 'errors',
      lines: [expect.stringMatching(/none\.yaml: ENOENT/)],
    });
  });

  test('whose aliases multiply is refused instead of filling the memory', () => {
    const level = (name: string, inner: string) => `${name}: &${name} [${`${inner},`.repeat(9)}]`;
    const bomb = ['a: &a [1]', level('b', '*a'), level('c', '*b'), level('d', '*c')].join('\n');
    expect(errorsOf(bomb)).toEqual([expect.stringContaining('Excessive alias count')]);
  });

  test('is judged after the overrides, and a section that is none stays an error', () => {
    expect(errorsOf('delay: 3s', [{ path: ['delay'], value: 'x' }])[0]).toMatch(/^delay: "x": /);
    expect(errorsOf('inner: 3', [{ path: ['inner', 'when_full'], value: 'x' }])).toEqual([
      'inner: 3: expected a section with keys',
    ]);
  });
});
