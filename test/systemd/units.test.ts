import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { agentCommand } from '../../cli/agent.ts';
import { parseFlags } from '../../cli/flags.ts';
import { hubCommand } from '../../cli/hub.ts';

function analyze(...args: string[]) {
  const { status, stdout, stderr, error } = spawnSync('systemd-analyze', args, {
    encoding: 'utf8',
  });
  if (error !== undefined) {
    throw new Error(
      `systemd-analyze is needed (Debian: apt-get install systemd): ${error.message}`,
    );
  }
  return { status, stdout, stderr };
}

// The units call the program through /usr/bin/env, which exists wherever they are verified; that
// `starferry` is on the PATH shows only when a unit starts.
describe.each([agentCommand, hubCommand])('the unit of the $name', (command) => {
  const unit = fileURLToPath(
    new URL(`../../systemd/starferry-${command.name}.service`, import.meta.url),
  );

  test('is verified by systemd-analyze without a word', () => {
    expect(analyze('verify', unit)).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test('exposes less than systemd-analyze calls a risk', () => {
    const { status, stdout } = analyze('security', '--offline=true', '--threshold=25', unit);
    expect(stdout).toMatch(/Overall exposure level/);
    expect(status).toBe(0);
  });

  test('starts the command with flags that it knows', () => {
    const line = /^ExecStart=\/usr\/bin\/env starferry (\S+) (.*)$/m.exec(
      readFileSync(unit, 'utf8'),
    );
    expect(line?.[1]).toBe(command.name);
    expect(parseFlags(line?.[2]?.split(' ') ?? [], command.flags, 0).kind).toBe('flags');
  });
});
