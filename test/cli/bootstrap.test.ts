import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const original = fileURLToPath(new URL('../../scripts/bootstrap.mjs', import.meta.url));
/** The checkout that the copied script believes to be in. */
let checkout: string;
/** In front of the PATH: programs that stand in for npm. */
let programs: string;

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'starferry-bootstrap-'));
  programs = join(checkout, 'programs');
  mkdirSync(programs);
  mkdirSync(join(checkout, 'scripts'));
  mkdirSync(join(checkout, 'cli'));
  copyFileSync(original, join(checkout, 'scripts/bootstrap.mjs'));
  const packages = { '': {}, 'node_modules/a': { version: '1.0.0' } };
  writeFileSync(join(checkout, 'package-lock.json'), JSON.stringify({ packages }));
});

afterEach(() => rmSync(checkout, { recursive: true }));

function fakeNpm(script: string): void {
  writeFileSync(join(programs, 'npm'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(programs, 'npm'), 0o755);
}

/** What npm leaves behind when `version` of the one package is installed. */
function installedList(version: string): string {
  return JSON.stringify({ packages: { 'node_modules/a': { version } } });
}

function start(args: string[]) {
  const script = join(checkout, 'scripts/bootstrap.mjs');
  return spawn(process.execPath, [script, ...args], {
    // Nothing but the stand-ins and the shell's own tools: no compiler, no other npm.
    env: { ...process.env, PATH: `${programs}:/bin` },
  });
}

async function run(...args: string[]) {
  const child = start(args);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

function program(source: string): void {
  writeFileSync(join(checkout, 'cli/main.ts'), source);
}

function install(version: string): void {
  const list = join(checkout, 'node_modules/.package-lock.json');
  mkdirSync(dirname(list), { recursive: true });
  writeFileSync(list, installedList(version));
}

describe('packages', () => {
  test('that are missing or of another version are installed, then the program runs', async () => {
    program("console.log('ran', ...process.argv.slice(2))");
    fakeNpm(`mkdir -p node_modules; echo '${installedList('1.0.0')}' \
      > node_modules/.package-lock.json; echo called >> npm-calls; echo noise`);
    install('0.9.0');
    const first = await run('starferry', 'agent', '--config.file=F');
    expect(first).toEqual({
      code: 0,
      stdout: 'ran agent --config.file=F\n',
      stderr: 'installing packages…\n',
    });
    const second = await run('starferry', 'agent');
    expect(second).toEqual({ code: 0, stdout: 'ran agent\n', stderr: '' });
  });

  test('that cannot be compiled are one line with what to install', async () => {
    fakeNpm("echo 'npm error path node_modules/zstd-napi'; echo 'npm error gyp ERR!'; exit 1");
    const { code, stderr } = await run('test');
    expect(stderr.split('\n').slice(0, -1)).toEqual([
      'installing packages…',
      expect.stringMatching(
        /^zstd-napi could not be compiled: .*apt-get install python3 make g\+\+/,
      ),
    ]);
    expect(code).toBe(1);
  });
});

describe('the program', () => {
  beforeEach(() => install('1.0.0'));

  test("gives its exit code, and a wrong mode is an error of the caller's", async () => {
    program('process.exitCode = 7');
    expect((await run('starferry')).code).toBe(7);
    expect(await run('strat')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^unknown mode strat: start, /),
    });
  });

  test('gets the signals that were meant for it and ends in its own way', async () => {
    program(`
      const alive = setInterval(() => {}, 1000);
      process.once('SIGTERM', () => {
        clearInterval(alive);
        process.exitCode = 3;
      });
      console.log('up');`);
    const child = start(['start']);
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([3, null]);
  });
});
