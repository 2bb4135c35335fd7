/** Prints what is wrong with a configuration, one problem per line; returns the exit code. */
export function reportConfigErrors(lines: readonly string[]): number {
  process.stderr.write(lines.map((line) => `${line}\n`).join(''));
  return 1;
}
