import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { BadLink } from '../../../bench/link/bad-link.ts';
import {
  type Ends,
  FAR_ADDRESS,
  inNamespace,
  makeEnds,
  missingForLinks,
} from '../../../bench/link/namespaces.ts';
import { nodeProgram } from '../../e2e/starferry.ts';
import { Workspace } from '../../tools/workspace.ts';
import type { Counted, EndOptions, Sending } from './counted-ends.ts';

const missing = missingForLinks();
const program = fileURLToPath(new URL('./counted-ends.ts', import.meta.url));
/** The certificate is for this name. */
const NAME = 'localhost';

const fixture = (extension: string) =>
  readFileSync(new URL(`../../fixtures/loopback.${extension}`, import.meta.url), 'utf8');

/** Longer than a system waits with an acknowledgement, and this link carries it. */
const pauseMs = 120;
const phases: Record<'opening' | 'trickle' | 'backlog', Sending> = {
  opening: { bodies: 1, bytes: 1000, pauseMs },
  trickle: { bodies: 6, bytes: 300, pauseMs },
  backlog: { bodies: 2, bytes: 150_000, pauseMs },
};

async function startEnd(
  workspace: Workspace,
  namespace: string,
  role: 'hub' | 'agent',
  options: EndOptions,
): Promise<ChildProcess> {
  const command = [nodeProgram, program, role, JSON.stringify(options)];
  const [ip, ...args] = inNamespace(namespace, command);
  const child = spawn(ip, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  workspace.onClose(() => void child.kill('SIGKILL'));
  await once(child, 'message');
  return child;
}

async function startEnds(workspace: Workspace, ends: Ends, options: Omit<EndOptions, 'host'>) {
  writeFileSync(join('/etc/netns', ends.near, 'hosts'), `${FAR_ADDRESS} ${NAME}\n`);
  const [, agent] = await Promise.all([
    startEnd(workspace, ends.far, 'hub', { ...options, host: FAR_ADDRESS }),
    startEnd(workspace, ends.near, 'agent', { ...options, host: NAME }),
  ]);
  return agent;
}

// Most machines let nobody make network namespaces; test/agent/packet-estimate.test.ts runs
// everywhere.
test.for([
  ['http, in parts', false, 200_000],
  ['https, as it comes', true, 0],
] as const)(
  'the estimate of IP bytes is what a link that loses nothing has carried, over %s',
  { timeout: 60_000 },
  async ([_scheme, isTls, bytesPerSecondMax], { skip }) => {
    skip(missing !== undefined, missing);
    const workspace = new Workspace('counted-bytes');
    onTestFinished(() => workspace.close());
    const ends = makeEnds(workspace, 'reno');
    const link = await BadLink.start(workspace, ends, 1);
    link.take([[0, { rate: 1e7, delay: 0.02, queue: 1e6 }]]);
    const [certPem, keyPem] = isTls ? [fixture('crt'), fixture('key')] : ['', ''];
    const agent = await startEnds(workspace, ends, { certPem, keyPem, bytesPerSecondMax });
    let before = { tcp: 0, ip: 0, carried: 0 };
    for (const [phase, sending] of Object.entries(phases)) {
      agent.send(sending);
      const [counted] = (await once(agent, 'message')) as [Counted];
      const { up, down } = await link.counts();
      const now = { ...counted, carried: up.bytes + down.bytes };
      const carried = now.carried - before.carried;
      expect((now.ip - before.ip) / carried, phase).toBeGreaterThan(0.9);
      expect((now.ip - before.ip) / carried, phase).toBeLessThan(1.1);
      // What the sockets count is not it.
      if (phase === 'trickle') expect((now.tcp - before.tcp) / carried).toBeLessThan(0.8);
      before = now;
    }
  },
);
