import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const entry = join(root, 'dist/cli/main.js');
const folder = mkdtempSync(join(tmpdir(), 'starferry-build-'));
const started: ChildProcess[] = [];

beforeAll(async () => {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  await run(process.execPath, [join(root, 'scripts/bootstrap.mjs'), 'build'], { cwd: root });
});

afterAll(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** Starts a compiled program on a free port; resolves with its URL once it says it is ready. */
async function startCompiled(program: 'agent' | 'hub', yaml: string): Promise<string> {
  const path = join(folder, `${program}.yaml`);
  const own = `listen: 127.0.0.1:0\ndata_dir: ${join(folder, program)}\n`;
  writeFileSync(path, own + yaml);
  const args = [entry, program, `--config.file=${path}`];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  started.push(child);
  let output = '';
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    output += chunk;
    const url = /"listen":"(http:[^"]+)"/.exec(output)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`the ${program} did not start: ${output}`);
}

test('the compiled command runs by itself', async () => {
  // Its first line asks the PATH for node: the one that runs this test.
  const PATH = `${join(process.execPath, '..')}:${process.env['PATH']}`;
  const { stdout } = await run(entry, ['--version'], { env: { ...process.env, PATH } });
  expect(stdout).toMatch(/^starferry \d/);
});

test('the compiled hub and agent find their workers and schemas, and stop when told', async () => {
  const destination = 'destination: {kind: cortex, url: "http://127.0.0.1:9/"}\n';
  const hub = await startCompiled('hub', `agents: [{id: a}]\n${destination}`);
  const agent = await startCompiled('agent', `agent_id: a\nhub: {urls: ["${hub}"]}\n`);
  for (const url of [hub, agent]) expect((await fetch(`${url}/-/healthy`)).status).toBe(200);
  const exits = started.map((child) => once(child, 'exit'));
  for (const child of started) child.kill('SIGTERM');
  expect(await Promise.all(exits)).toEqual([
    [0, null],
    [0, null],
  ]);
});
