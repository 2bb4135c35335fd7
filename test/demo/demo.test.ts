import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runDemo } from '../../demo/main.ts';
import { until } from '../tools/until.ts';

const log = pino({ level: 'silent' });
const freePorts = { agent: 0, hub: 0, store: 0 };
let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'starferry-demo-'));
});

afterEach(() => rmSync(dataDir, { recursive: true }));

it('carries its own metrics into the embedded destination and says so', async () => {
  const printed: string[] = [];
  const print = (line: string) => printed.push(line);
  const demo = await runDemo({ dataDir, log, ports: freePorts, print });
  try {
    const [, storeUrl] = /Grafana: add (\S+)/.exec(printed.join('\n')) ?? [];
    expect(printed[0]).toMatch(/remote_write:\n {2}- url: http:\/\/127.0.0.1:\d+\/api\/v1\/write/);
    const query = `${storeUrl}/api/v1/query?query=starferry_agent_buffer_samples`;
    await until('a sample in the embedded destination', 20_000, async () => {
      return (await (await fetch(query)).text()).includes('"job":"starferry-agent"');
    });
    await until('a line about delivered samples', 20_000, () =>
      printed.some((line) => /samples in \| [1-9][\d,]* delivered .* lag \d/.test(line)),
    );
  } finally {
    await demo.close(5000);
  }
});

it('says what to do about a port that is taken, and leaves nothing running', async () => {
  const blocker = createServer();
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
  const address = blocker.address();
  const taken = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const ports = { ...freePorts, agent: taken };
  const starting = runDemo({ dataDir, log, ports, print: () => undefined });
  await expect(starting).rejects.toThrow(`127.0.0.1:${taken}`);
  await expect(starting).rejects.toThrow('stop it and start again');
  await new Promise((resolve) => blocker.close(resolve));
});
