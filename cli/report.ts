/** Prints what is wrong with a configuration, one problem per line; returns the exit code. */
export function reportConfigErrors(lines: readonly string[]): number {
  process.stderr.write(lines.map((line) => `${line}\n`).join(''));
  return 1;
}

/** Prints what is wrong with a call; returns the exit code. */
export function reportUsage(message: string): number {
  process.stderr.write(`${message}\nSee starferry --help.\n`);
  return 2;
}
