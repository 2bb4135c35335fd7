import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from './ports.ts';
import { startProcess } from './processes.ts';
import { Workspace } from './workspace.ts';

/** A program that listens on `port` once it has run `first`. */
function program(port: number, first = ''): [string, ...string[]] {
  const listen = `require('http').createServer((q, r) => r.end()).listen(${port}, '127.0.0.1')`;
  return [process.execPath, '-e', `console.log('hello'); ${first}; ${listen}`];
}

function lives(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch {
    return false;
  }
}

describe('startProcess', () => {
  let workspace: Workspace;
  beforeEach(() => {
    workspace = new Workspace('processes');
  });
  afterEach(() => workspace.close());

  const start = async (first?: string) => {
    const port = await freePort();
    return startProcess(workspace, {
      name: 'listener',
      folder: workspace.folder,
      readyUrl: `http://127.0.0.1:${port}/`,
      command: program(port, first),
    });
  };

  test('resolves once the program answers, and collects its log', async () => {
    const started = await start();
    await started.waitForLog('hello', 1000);
    expect(lives(started.id)).toBe(true);
  });

  test('names the program and shows its log when it ends before it is ready', async () => {
    await expect(start('throw new Error("no luck")')).rejects.toThrow(
      /listener ended before it was ready; its log ends:\n[\s\S]*no luck/,
    );
  });

  test('stop asks politely and reports the exit code', async () => {
    const started = await start(`process.on('SIGTERM', () => process.exit(7))`);
    expect(await started.stop()).toBe(7);
  });

  test('kill leaves the program no chance to say anything', async () => {
    const started = await start(`process.on('SIGTERM', () => console.log('polite'))`);
    await started.kill();
    expect(lives(started.id)).toBe(false);
    expect(started.log()).not.toContain('polite');
  });

  test('a closed workspace has no processes and no folder left', async () => {
    const [one, two] = [await start(), await start()];
    await workspace.close();
    expect([lives(one.id), lives(two.id)]).toEqual([false, false]);
    expect(existsSync(workspace.folder)).toBe(false);
  });

  test('one ending that fails does not keep a workspace from the others', async () => {
    const started = await start();
    workspace.onClose(() => {
      throw new Error('stuck');
    });
    await expect(workspace.close()).rejects.toThrow('could not end all');
    expect(lives(started.id)).toBe(false);
  });
});
