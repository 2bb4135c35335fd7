import type { Flag, Flags } from './flags.ts';

/** A command of `starferry`. */
export interface Command {
  name: string;
  /** How it is called, without `starferry`. */
  usage: string;
  meaning: string;
  flags: readonly Flag[];
  operandsMax: number;
  /** Resolves with the exit code. */
  run(flags: Flags, operands: readonly string[]): Promise<number>;
}

/** The values of a flag that can be given several times. */
export function several(flags: Flags, name: string): string[] {
  return [flags[name] ?? []].flat().filter((value) => typeof value === 'string');
}

/** The value of a flag that can be given once. */
export function single(flags: Flags, name: string): string | undefined {
  const value = flags[name];
  const last = Array.isArray(value) ? value.at(-1) : value;
  return typeof last === 'string' ? last : undefined;
}
