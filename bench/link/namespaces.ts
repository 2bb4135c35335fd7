import { execFileSync } from 'node:child_process';
import { accessSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Workspace } from '../../test/tools/workspace.ts';

/** Names of ours end in the process that made them, so that those of the dead can be told. */
const PREFIX = 'starferry-bench';
/** Where `ip netns exec` looks for files that a namespace has instead of those of /etc. */
const ETC = '/etc/netns';

/** Addresses of the two ends, and one in their network where nobody is. */
export const NEAR_ADDRESS = '10.99.0.1';
export const FAR_ADDRESS = '10.99.0.2';
export const DEAD_ADDRESS = '10.99.0.3';
/** Names at the near end that stand for both of these, in one order and in the other. */
export const DEAD_FIRST_NAME = 'dead-first.test';
export const DEAD_LAST_NAME = 'dead-last.test';

/** The two ends of a link: network namespaces, and the devices that lead from one to the other. */
export interface Ends {
  near: string;
  far: string;
  devices: [near: string, far: string];
}

let made = 0;

/** One line that says what a bad link needs and this machine lacks; undefined: nothing. */
export function missingForLinks(): string | undefined {
  const missing: string[] = [];
  if (process.getuid?.() !== 0) missing.push('root');
  if (!runs('python3', '--version')) missing.push('python3');
  if (!runs('ip', '-V')) missing.push('ip (Debian: iproute2)');
  if (!isThere('/dev/net/tun')) missing.push('/dev/net/tun');
  if (missing.length === 0 && !canMakeNamespaces()) missing.push('network namespaces');
  if (missing.length === 0) return undefined;
  return (
    'bad links need root, python3, ip, /dev/net/tun and network namespaces; ' +
    `missing here: ${missing.join(', ')}`
  );
}

/** Makes two ends without a way between them; `workspace` ends them. */
export function makeEnds(workspace: Workspace, congestion: string): Ends {
  const name = `${PREFIX}-${++made}`;
  const ends: Ends = {
    near: `${name}-near-${process.pid}`,
    far: `${name}-far-${process.pid}`,
    devices: [`sf${process.pid}n${made}`, `sf${process.pid}f${made}`],
  };
  for (const namespace of [ends.near, ends.far]) {
    ip('netns', 'add', namespace);
    alive.add(namespace);
    workspace.onClose(() => remove(namespace));
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
    const setting = `net.ipv4.tcp_congestion_control=${congestion}`;
    run(...inNamespace(namespace, ['sysctl', '-q', '-w', setting]));
  }
  const hosts = [
    ['127.0.0.1', 'localhost'],
    [DEAD_ADDRESS, DEAD_FIRST_NAME],
    [FAR_ADDRESS, DEAD_FIRST_NAME],
    [FAR_ADDRESS, DEAD_LAST_NAME],
    [DEAD_ADDRESS, DEAD_LAST_NAME],
  ];
  mkdirSync(join(ETC, ends.near), { recursive: true });
  writeFileSync(join(ETC, ends.near, 'hosts'), hosts.map((line) => `${line.join(' ')}\n`).join(''));
  return ends;
}

/** Moves the devices of an emulator to the ends and gives them their addresses. */
export function attachDevices({ near, far, devices }: Ends): void {
  for (const [namespace, device, address] of [
    [near, devices[0], NEAR_ADDRESS],
    [far, devices[1], FAR_ADDRESS],
  ] as const) {
    ip('link', 'set', device, 'netns', namespace);
    ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', device);
    ip('-n', namespace, 'link', 'set', device, 'mtu', '1500', 'up');
  }
}

/** The command that runs a program in a namespace; the process is that program's. */
export function inNamespace(namespace: string, command: readonly string[]): [string, ...string[]] {
  return ['ip', 'netns', 'exec', namespace, ...command];
}

/** Removes what benchmarks that were killed have left. */
export function removeLeftovers(): void {
  for (const namespace of listed()) {
    const owner = new RegExp(`^${PREFIX}-.*-(\\d+)$`).exec(namespace)?.[1];
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) remove(namespace);
  }
}

/** Namespaces outlive their processes, so they go even when the benchmark ends in a hurry. */
const alive = new Set<string>();
process.on('exit', () => {
  for (const namespace of alive) remove(namespace);
});

function remove(namespace: string): void {
  alive.delete(namespace);
  rmSync(join(ETC, namespace), { recursive: true, force: true });
  ip('netns', 'del', namespace);
}

function listed(): string[] {
  return existsSync('/run/netns') ? readdirSync('/run/netns') : [];
}

function canMakeNamespaces(): boolean {
  const name = `${PREFIX}-probe-${process.pid}`;
  if (!runs('ip', 'netns', 'add', name)) return false;
  return runs('ip', 'netns', 'del', name);
}

function ip(...args: string[]): void {
  run('ip', ...args);
}

/** @throws Error with what the program said */
function run(program: string, ...args: string[]): void {
  try {
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    throw new Error(`${program} ${args.join(' ')}: ${said}`);
  }
}

function runs(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function isThere(path: string): boolean {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}
