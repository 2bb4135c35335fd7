import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'starferry-service-'));
let child: ChildProcessByStdio<null, Readable, null> | undefined;

afterEach(() => child?.kill('SIGKILL'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A process that runs a service which drains as `close`, a function expression, says. */
function startService(close: string, environment: Record<string, string> = {}) {
  const base = new URL('../..', import.meta.url);
  const script = `
    import { runService } from '${new URL('cli/service.ts', base)}';
    import { createLog } from '${new URL('base/log.ts', base)}';
    const log = createLog({ level: 'info', name: 'test' });
    const alive = setInterval(() => {}, 1000);
    process.exitCode = await runService(log, async () => {
      console.log('started');
      return { close: ${close} };
    });
    clearInterval(alive);`;
  const args = ['--input-type=module', '--eval', script];
  child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  });
  return child;
}

async function said(service: ChildProcessByStdio<null, Readable, null>, text: string) {
  let output = '';
  for await (const chunk of service.stdout.iterator({ destroyOnReturn: false })) {
    output += chunk;
    if (output.includes(text)) return;
  }
  throw new Error(`never said ${text}: ${output}`);
}

test('SIGTERM drains within a deadline and ends with 0', async () => {
  const service = startService('async (deadlineMs) => console.log("deadline", deadlineMs)');
  await said(service, 'started');
  const ended = once(service, 'exit');
  service.kill('SIGTERM');
  await said(service, 'deadline 15000');
  expect(await ended).toEqual([0, null]);
});

test('Ctrl-C that npm passes on a second time still drains, a later one ends at once', async () => {
  const service = startService('() => new Promise(() => {})');
  await said(service, 'started');
  const ended = once(service, 'exit');
  service.kill('SIGINT');
  await said(service, 'draining');
  service.kill('SIGINT');
  const passedMs = performance.now();
  const repeat = setInterval(() => service.kill('SIGINT'), 50);
  expect(await ended).toEqual([1, null]);
  clearInterval(repeat);
  expect(performance.now() - passedMs).toBeGreaterThan(300);
});

test('systemd is told when the service is ready and when it stops', async () => {
  // Stands in for systemd's own tool, because no test may need a running systemd.
  const calls = join(folder, 'calls');
  const tool = join(folder, 'systemd-notify');
  writeFileSync(tool, `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> ${calls}\n`);
  chmodSync(tool, 0o755);
  const service = startService('async () => {}', {
    NOTIFY_SOCKET: '/run/notify',
    PATH: `${folder}${delimiter}${process.env['PATH']}`,
  });
  await said(service, 'started');
  const ended = once(service, 'exit');
  await expect.poll(() => readFileSync(calls, 'utf8')).toContain('--ready');
  service.kill('SIGTERM');
  await ended;
  expect(readFileSync(calls, 'utf8')).toBe(
    '/run/notify --no-block --ready\n/run/notify --no-block --stopping\n',
  );
});
