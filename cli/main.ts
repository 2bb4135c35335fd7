#!/usr/bin/env node
import { version } from '../base/version.ts';
import { agentCommand } from './agent.ts';
import { checkConfigCommand } from './check-config.ts';
import type { Command } from './command.ts';
import { demoCommand } from './demo.ts';
import { helpText, parseFlags } from './flags.ts';
import { hubCommand } from './hub.ts';
import { refusedCommand } from './refused.ts';
import { reportUsage } from './report.ts';

const commands: readonly Command[] = [
  agentCommand,
  hubCommand,
  demoCommand,
  checkConfigCommand,
  refusedCommand,
];

function overview(): string {
  const width = Math.max(...commands.map((command) => command.usage.length)) + 2;
  const lines = commands.map(({ usage, meaning }) => `  ${usage.padEnd(width)}${meaning}`);
  const more = '`starferry <command> --help` lists the flags; `starferry --version`.';
  return ['Usage: starferry <command> [flags]', '', ...lines, '', more, ''].join('\n');
}

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(overview());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    process.stdout.write(`starferry ${version} (node ${process.version})\n`);
    return 0;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) return reportUsage(`unknown command ${name}`);
  const parsed = parseFlags(rest, command.flags, command.operandsMax);
  if (parsed.kind === 'error') return reportUsage(parsed.message);
  if (parsed.kind === 'help') {
    process.stdout.write(helpText(command.usage, command.meaning, command.flags));
    return 0;
  }
  const needsFile = command.flags.some((flag) => flag.name === 'config.file');
  if (needsFile && parsed.flags['config.file'] === undefined) {
    return reportUsage('--config.file=F is required');
  }
  if (parsed.operands.length < command.operandsMax) return reportUsage(`usage: ${command.usage}`);
  return command.run(parsed.flags, parsed.operands);
}

// Whoever reads the first lines of a long list only, as head does, has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

// The exit code and not process.exit: what is left in the pipes has to go out first. Whatever
// keeps the process alive after a drain is a bug and shows itself.
process.exitCode = await main(process.argv.slice(2));
