import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where a program reads by how many milliseconds its clock is wrong. */
const FILE = 'clock-shift';

/**
 * Environment of a program whose clock is wrong by `ms` from its start, and which `setClock` can
 * step; `folder` is that of its process.
 */
export function shiftableClock(folder: string, ms = 0): Record<string, string> {
  const path = join(folder, FILE);
  writeFileSync(path, String(ms));
  const preload = new URL('./shifted-date.mjs', import.meta.url).href;
  return { NODE_OPTIONS: `--import=${preload}`, CLOCK_SHIFT_FILE: path };
}

/** Steps the clock of a program to `ms` from the right time. */
export function setClock({ folder }: { folder: string }, ms: number): void {
  writeFileSync(join(folder, FILE), String(ms));
}
