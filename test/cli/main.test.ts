import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { starferry } from './run-starferry.ts';

const folder = mkdtempSync(join(tmpdir(), 'starferry-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

function configFile(name: string, yaml: string): string {
  const path = join(folder, name);
  writeFileSync(path, yaml);
  return path;
}

const agentYaml = 'agent_id: a\nhub: {urls: [http://127.0.0.1:9202]}\n';
const hubYaml = 'agents: [{id: a}]\ndestination: {kind: cortex, url: "http://127.0.0.1:1/"}\n';

describe('help', () => {
  test('lists every command, and every command its flags', async () => {
    const [overview, ...details] = await Promise.all([
      starferry(['--help']),
      starferry(['agent', '--help']),
      starferry(['hub', '--help']),
      starferry(['demo', '--help']),
      starferry(['check-config', '--help']),
      starferry(['refused', '--help']),
    ]);
    for (const command of ['agent', 'hub', 'demo', 'check-config', 'refused']) {
      expect(overview?.stdout).toMatch(new RegExp(`^ {2}${command}\\b`, 'm'));
    }
    expect(details.map((ended) => ended.code)).toEqual([0, 0, 0, 0, 0]);
    expect(details[0]?.stdout).toContain('--hub.url=');
    expect(details[1]?.stdout).not.toContain('--hub.url=');
    expect(details[2]?.stdout).toContain('--destination.url=');
    expect(details[4]?.stdout).toMatch(/--since=2h .*\n.*--id=N .*\n.*--records {2}/);
  });

  test('lists the commands of a group, which is none by itself', async () => {
    const [group, exportHelp, alone, wrong] = await Promise.all([
      starferry(['buffer', '--help']),
      starferry(['buffer', 'export', '--help']),
      starferry(['buffer']),
      starferry(['buffer', 'exprot', 'x']),
    ]);
    for (const name of ['inspect', 'verify', 'export']) {
      expect(group?.stdout).toMatch(new RegExp(`^ {2}buffer ${name} DIR`, 'm'));
    }
    expect(group?.stdout).not.toContain('check-config');
    expect(exportHelp?.stdout).toMatch(/--format=.*\n.*--out=/);
    expect([group.code, exportHelp.code, alone.code, wrong.code]).toEqual([0, 0, 2, 2]);
    expect(wrong.stderr).toMatch(/^unknown command buffer exprot$/m);
  });

  test('lists the commands of a group, which is none by itself', async () => {
    const [group, exportHelp, alone, wrong] = await Promise.all([
      starferry(['buffer', '--help']),
      starferry(['buffer', 'export', '--help']),
      starferry(['buffer']),
      starferry(['buffer', 'exprot', 'x']),
    ]);
    for (const name of ['inspect', 'verify', 'export']) {
      expect(group?.stdout).toMatch(new RegExp(`^ {2}buffer ${name} DIR`, 'm'));
    }
    expect(group?.stdout).not.toContain('check-config');
    expect(exportHelp?.stdout).toMatch(/--format=.*\n.*--out=/);
    expect([group.code, exportHelp.code, alone.code, wrong.code]).toEqual([0, 0, 2, 2]);
    expect(wrong.stderr).toMatch(/^unknown command buffer exprot$/m);
  });

  test('the version is that of the package', async () => {
    const { code, stdout } = await starferry(['--version']);
    expect([code, stdout.split(' ', 2)]).toEqual([0, ['starferry', packageJson.version]]);
  });
});

describe('a wrong call', () => {
  test.each([
    [['agnet'], /^unknown command agnet$/m],
    [['agent', '--listn=:1', '--config.file=x'], /'--listn'/],
    [['agent', '--config.file=x', 'extra'], /^unexpected argument extra$/m],
    [['agent'], /^--config\.file=F is required$/m],
    [['check-config'], /^usage: check-config F$/m],
    [['refused', '--config.file=x'], /^usage: refused list\|replay --config\.file=F/m],
    [['refused', 'lst', '--config.file=x'], /^unknown action lst: list or replay$/m],
    [['refused', 'list', '--config.file=x', '--since=5'], /^--since=5: expected a duration/m],
    [['refused', 'list', '--config.file=x', '--id=0'], /^--id=0: expected a number$/m],
    [['buffer', 'verify'], /^usage: buffer verify DIR$/m],
    [['buffer', 'export', 'x', '--format=csv'], /^--format=csv: expected/m],
  ])('%j names the mistake and exits with 2', async (args, message) => {
    const { code, stderr } = await starferry(args);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });
});

describe('check-config', () => {
  test('knows an agent from a hub by their keys', async () => {
    const [agent, hub, neither] = await Promise.all([
      starferry(['check-config', configFile('agent.yaml', agentYaml)]),
      starferry(['check-config', configFile('hub.yaml', hubYaml)]),
      starferry(['check-config', configFile('neither.yaml', 'a: b\n')]),
    ]);
    expect([agent.stdout, agent.code]).toEqual([expect.stringMatching(/: OK \(agent\)\n$/), 0]);
    expect([hub.stdout, hub.code]).toEqual([expect.stringMatching(/: OK \(hub\)\n$/), 0]);
    expect([neither.stderr, neither.code]).toEqual([expect.stringMatching(/neither hub:/), 1]);
  });

  test('warns of agents that share a tenant, and is content all the same', async () => {
    const shared = hubYaml.replace('[{id: a}]', '[{id: a}, {id: b}]');
    const { code, stdout, stderr } = await starferry([
      'check-config',
      configFile('shared.yaml', shared),
    ]);
    expect(stderr).toMatch(
      /^warning: agents: tenant anonymous is shared by the agents a, b: .*\n$/,
    );
    expect([code, stdout]).toEqual([0, expect.stringMatching(/: OK \(hub\)\n$/)]);
  });

  test('warns of an agent whose default tenant is never used', async () => {
    const unused = `${agentYaml}ingest: {default_tenant: a, force_tenant: b}\n`;
    const { code, stderr } = await starferry(['check-config', configFile('unused.yaml', unused)]);
    expect(stderr).toMatch(/^warning: ingest\.default_tenant: it is never used, .*\n$/);
    expect(code).toBe(0);
  });

  test('prints one line for every problem and exits with 1', async () => {
    const path = configFile('bad.yaml', `${agentYaml}batch: {max_delay: 5}\nqueue: 1\n`);
    const { code, stderr } = await starferry(['check-config', path]);
    expect(stderr.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^batch\.max_delay: 5: expected a duration/),
      expect.stringMatching(/^queue: unknown key/),
    ]);
    expect(code).toBe(1);
  });
});

test('a flag beats the environment and that beats the file', async () => {
  const path = configFile('levels.yaml', `${agentYaml}log_level: wrong-file\n`);
  const environment = { STARFERRY_LOG_LEVEL: 'wrong-environment' };
  const [file, variable, empty, flag] = await Promise.all([
    starferry(['agent', `--config.file=${path}`]),
    starferry(['agent', `--config.file=${path}`], environment),
    starferry(['agent', `--config.file=${path}`], { STARFERRY_LOG_LEVEL: '' }),
    starferry(['agent', `--config.file=${path}`, '--log.level=wrong-flag'], environment),
  ]);
  expect(file.stderr).toMatch(/^log_level: "wrong-file"/);
  expect(variable.stderr).toMatch(/^log_level: "wrong-environment"/);
  expect(empty.stderr).toMatch(/^log_level: "wrong-file"/);
  expect(flag.stderr).toMatch(/^log_level: "wrong-flag"/);
  expect([file.code, flag.code]).toEqual([1, 1]);
});

test('hub URLs are repeated as flags and separated by commas in the environment', async () => {
  const path = configFile('urls.yaml', agentYaml);
  const [flags, variable] = await Promise.all([
    starferry(['agent', `--config.file=${path}`, '--hub.url=x://a', '--hub.url=x://b']),
    starferry(['agent', `--config.file=${path}`], { STARFERRY_HUB_URL: 'x://c, x://d' }),
  ]);
  expect(flags.stderr).toMatch(/^hub\.urls\[0\]: "x:\/\/a".*\nhub\.urls\[1\]: "x:\/\/b"/);
  expect(variable.stderr).toMatch(/^hub\.urls\[0\]: "x:\/\/c".*\nhub\.urls\[1\]: "x:\/\/d"/);
});
