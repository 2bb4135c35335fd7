import { single } from '../cli/command.ts';
import { type Flag, type Flags, parseFlags } from '../cli/flags.ts';

/**
 * The flags of a benchmark, their default in the place of the value; undefined when only help was
 * wanted, which is then printed.
 *
 * @throws Error naming an unknown flag
 */
export function readFlags(
  usage: string,
  args: readonly string[],
  flags: readonly Flag[],
): Flags | undefined {
  const parsed = parseFlags(args, flags, 0);
  if (parsed.kind === 'error') throw new Error(parsed.message);
  if (parsed.kind === 'flags') return parsed.flags;
  console.log(`Usage: ${usage}\n`);
  for (const { name, value, meaning } of flags) console.log(`  --${name}=${value}: ${meaning}`);
  return undefined;
}

export function textFlag(flags: Flags, name: string, fallback: string): string {
  return single(flags, name) ?? fallback;
}

/** A number above 0. @throws Error for anything else */
export function numberFlag(flags: Flags, name: string, fallback: number): number {
  const text = single(flags, name);
  if (text === undefined) return fallback;
  const number = Number(text);
  if (!(number > 0)) throw new Error(`--${name}=${text}: a number above 0 is expected`);
  return number;
}
