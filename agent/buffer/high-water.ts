import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';

/** Last segment sequence of each tenant that a run has committed. */
export interface HighWater {
  run: string;
  tenants: Record<string, number>;
}

const schema = z.object({ run: z.string(), tenants: z.record(z.string(), z.number()) });

/**
 * The highest sequences, kept outside the database: one flipped byte in SQLite's write-ahead log
 * makes all later commits vanish without any error, and only a witness beside it can tell.
 *
 * Written about once a second and never synced: it may lag behind, so it only serves detection.
 */
export function writeHighWater(path: string, highWater: HighWater): void {
  writeFileSync(path, JSON.stringify(highWater));
}

/** The last state written, or nothing where there is none or it was cut off by a crash. */
export function readHighWater(path: string): HighWater | undefined {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
}
