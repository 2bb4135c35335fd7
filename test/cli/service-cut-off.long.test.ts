import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';

test('a service that hangs is cut off before the deadline', async () => {
  const base = new URL('../..', import.meta.url);
  const script = `
    import { runService } from '${new URL('cli/service.ts', base)}';
    import { createLog } from '${new URL('base/log.ts', base)}';
    const log = createLog({ level: 'info', name: 'test' });
    setInterval(() => {}, 1000);
    await runService(log, async () => {
      process.kill(process.pid, 'SIGTERM');
      return { close: () => new Promise(() => {}) };
    });`;
  const beganMs = performance.now();
  const args = ['--input-type=module', '--eval', script];
  const service = spawn(process.execPath, args, { stdio: 'ignore' });
  expect(await once(service, 'exit')).toEqual([1, null]);
  // Its start is not counted at the lower end.
  expect(performance.now() - beganMs).toBeGreaterThan(14_000);
  expect(performance.now() - beganMs).toBeLessThan(30_000);
});
