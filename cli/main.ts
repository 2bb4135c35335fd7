#!/usr/bin/env node
import { version } from '../base/version.ts';
import { agentCommand } from './agent.ts';
import { bufferCommands } from './buffer.ts';
import { checkConfigCommand } from './check-config.ts';
import type { Command } from './command.ts';
import { demoCommand } from './demo.ts';
import { helpText, parseFlags } from './flags.ts';
import { hubCommand } from './hub.ts';
import { refusedCommand } from './refused.ts';
import { relabelCommand } from './relabel.ts';
import { reportUsage } from './report.ts';

const commands: readonly Command[] = [
  agentCommand,
  hubCommand,
  demoCommand,
  checkConfigCommand,
  relabelCommand,
  refusedCommand,
  ...bufferCommands,
];

function overview(shown = commands): string {
  const width = Math.max(...shown.map((command) => command.usage.length)) + 2;
  const lines = shown.map(({ usage, meaning }) => `  ${usage.padEnd(width)}${meaning}`);
  const more = '`starferry <command> --help` lists the flags; `starferry --version`.';
  return ['Usage: starferry <command> [flags]', '', ...lines, '', more, ''].join('\n');
}

/** The first word of several commands is none by itself, but can be asked for help. */
function unknownCommand(name: string, [next]: readonly string[]): number {
  const group = commands.filter((command) => command.name.startsWith(`${name} `));
  if (group.length === 0) return reportUsage(`unknown command ${name}`);
  const wantsHelp = next === '--help' || next === '-h';
  if (!wantsHelp) return reportUsage(`unknown command ${[name, next ?? ''].join(' ').trimEnd()}`);
  process.stdout.write(overview(group));
  return 0;
}

async function main(args: readonly string[]): Promise<number> {
  const [name] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(overview());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    process.stdout.write(`starferry ${version} (node ${process.version})\n`);
    return 0;
  }
  const command = commands.find((candidate) =>
    candidate.name.split(' ').every((word, index) => args[index] === word),
  );
  if (command === undefined) return unknownCommand(name, args.slice(1));
  const rest = args.slice(command.name.split(' ').length);
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
