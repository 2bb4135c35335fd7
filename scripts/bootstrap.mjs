// Behind the npm scripts of a checkout: installs what is missing, then runs a tool or the program
// itself with the Node that came with the packages. Has to run on Node 20, and before any package
// is there, so it is plain JavaScript.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, 'node_modules', '.bin');

const biome = [join(root, 'node_modules/@biomejs/biome/bin/biome'), 'ci', '.'];
const tsc = [join(bin, 'tsc')];
const vitest = [join(bin, 'vitest'), 'run'];

/** The steps of each mode, until one fails; arguments go to the last one. */
const modes = {
  start: () => [['cli/main.ts', 'demo']],
  starferry: () => [['cli/main.ts']],
  bench: () => [['bench/main.ts']],
  sim: () => [['test/sim/main.ts']],
  faults: () => [['test/faults/main.ts']],
  docs: () => [['scripts/generate-config-docs.ts']],
  build: () => [[...tsc, '-p', 'tsconfig.build.json'], ['scripts/copy-assets.mjs']],
  check: () => [biome, tsc, [...vitest, '--exclude', 'test/e2e/**']],
  // Whoever names tests wants these and nothing else.
  test: (args) => (args.length > 0 ? [vitest] : [biome, tsc, vitest]),
  'test:long': () => [vitest],
};

/** Exit codes follow the shell: 128 + signal for a child that was killed. */
async function main([mode, ...args]) {
  const steps = modes[mode]?.(args);
  if (steps === undefined) return fail(`unknown mode ${mode}: ${Object.keys(modes).join(', ')}`);
  if (!isInstalled() && !(await install())) return 1;
  const node = ownNode();
  if (node === undefined) {
    return fail(`Node 22.19 or newer is needed on ${process.platform}-${process.arch}`);
  }
  if (mode === 'test:long') process.env.STARFERRY_TEST_LONG = '1';
  for (const [index, step] of steps.entries()) {
    const code = await run(node, index === steps.length - 1 ? [...step, ...args] : step);
    if (code !== 0) return code;
  }
  return 0;
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  return 1;
}

/** Whether node_modules holds what package-lock.json asks for; npm writes its own list last. */
function isInstalled() {
  const installedList = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedList)) return false;
  const installed = JSON.parse(readFileSync(installedList, 'utf8')).packages;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '' || (optional === true && installed[path] === undefined)) return true;
    return installed[path]?.version === version;
  });
}

async function install() {
  process.stderr.write('installing packages…\n');
  const { code, output } = await runQuietly('npm', ['ci', '--no-audit', '--no-fund']);
  const log = join(root, 'npm-ci.log');
  rmSync(log, { force: true });
  if (code === 0) return true;
  writeFileSync(log, output);
  const problem = /zstd-napi|node-gyp|gyp ERR!/.test(output)
    ? `zstd-napi could not be compiled: ${compilerAdvice()}`
    : 'npm ci failed';
  process.stderr.write(`${problem} (npm's output: ${log})\n`);
  return false;
}

/** What compiling an addon needs and this machine lacks, with the names of Debian's packages. */
function compilerAdvice() {
  const missing = ['python3', 'make', 'g++'].filter((program) => !isOnPath(program));
  if (nodeHeaders() === undefined) missing.push('the headers of Node');
  const packages = 'Debian: apt-get install python3 make g++ libnode-dev';
  return missing.length === 0 ? packages : `${missing.join(', ')} missing; ${packages}`;
}

function isOnPath(program) {
  return searchPath().some((folder) => existsSync(join(folder, program)));
}

/**
 * The folders of PATH without this checkout's own: npm replaces node_modules, and must not run
 * with the Node that it is about to delete.
 */
function searchPath() {
  return (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== bin);
}

/** The prefix under which the system's Node keeps its headers, if they are installed. */
function nodeHeaders() {
  const nodes = searchPath().map((folder) => join(folder, 'node'));
  const prefixes = nodes.filter(existsSync).map((node) => dirname(dirname(realpathSync(node))));
  return prefixes.find((prefix) => existsSync(join(prefix, 'include/node/node_api.h')));
}

/** The Node of the packages, else the one that runs this file if it is new enough. */
function ownNode() {
  const packaged = join(bin, 'node');
  if (existsSync(packaged)) return packaged;
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 19) ? process.execPath : undefined;
}

/** Runs a tool in the foreground and passes signals on, so that it can end in its own way. */
function run(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit' });
  const forward = (signal) => child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(name, forward);
      resolve(signal === null ? code : 128 + constants.signals[signal]);
    });
  });
}

function runQuietly(command, args) {
  const environment = {
    ...process.env,
    PATH: searchPath().join(delimiter),
    // `npm run -s` would silence this npm too, and with it the reason of a failure.
    npm_config_loglevel: 'notice',
  };
  const headers = nodeHeaders();
  // Without it node-gyp downloads the headers, which many machines cannot.
  if (headers !== undefined) environment.npm_config_nodedir ??= headers;
  const child = spawn(command, args, { cwd: root, env: environment });
  const chunks = [];
  child.stdout.on('data', (chunk) => chunks.push(chunk));
  child.stderr.on('data', (chunk) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output: Buffer.concat(chunks).toString() }));
  });
}

process.exitCode = await main(process.argv.slice(2));
