import { parseArgs } from 'node:util';

/** One flag of a command, in Prometheus style: `--listen=127.0.0.1:9201`. */
export interface Flag {
  name: string;
  /** What stands after the `=` in the help text; absent for a flag that is given or not. */
  value?: string;
  meaning: string;
  many?: boolean;
}

export type Flags = Record<string, string | string[] | boolean | undefined>;

export type ParsedFlags =
  | { kind: 'flags'; flags: Flags; operands: string[] }
  | { kind: 'help' }
  | { kind: 'error'; message: string };

/** Reads the arguments of a command; `operandsMax` of them may be no flags. */
export function parseFlags(
  args: readonly string[],
  flags: readonly Flag[],
  operandsMax: number,
): ParsedFlags {
  const options = flags.map(({ name, value, many }) => {
    const type = value === undefined ? ('boolean' as const) : ('string' as const);
    return [name, { type, multiple: many ?? false }] as const;
  });
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { ...Object.fromEntries(options), help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
    if (values['help'] === true) return { kind: 'help' };
    const tooMany = positionals[operandsMax];
    if (tooMany !== undefined) return { kind: 'error', message: `unexpected argument ${tooMany}` };
    return { kind: 'flags', flags: values as Flags, operands: positionals };
  } catch (error) {
    // parseArgs appends advice on quoting after a full stop; the first sentence names the flag.
    const message = error instanceof Error ? error.message.split('. ', 1)[0] : String(error);
    return { kind: 'error', message: message ?? '' };
  }
}

/** The help text of a command: usage, one sentence, a line for each flag. */
export function helpText(usage: string, meaning: string, flags: readonly Flag[]): string {
  const rows = flags.map(({ name, value, meaning }) => {
    return { left: value === undefined ? `--${name}` : `--${name}=${value}`, meaning };
  });
  rows.push({ left: '--help', meaning: 'this text' });
  const width = Math.max(...rows.map((row) => row.left.length)) + 2;
  const lines = rows.map((row) => `  ${row.left.padEnd(width)}${row.meaning}`);
  return [`Usage: starferry ${usage}`, '', meaning, '', ...lines, ''].join('\n');
}
