import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';

/** What a run has committed, and what of it and of runs before it waited then. */
export interface HighWater {
  run: string;
  /** Milliseconds since the Unix epoch. */
  writtenAt: number;
  /** Last segment sequence of each tenant that the run has committed. */
  tenants: Record<string, number>;
  /** By tenant, see WaitingRange. */
  waiting: Record<
    string,
    { run: string; first: number; last: number; samples: number; oldest: number; newest: number }[]
  >;
}

const range = z.object({
  run: z.string(),
  first: z.int(),
  last: z.int(),
  samples: z.int(),
  oldest: z.number(),
  newest: z.number(),
});
const schema = z.object({
  run: z.string(),
  writtenAt: z.number(),
  tenants: z.record(z.string(), z.int()),
  waiting: z.record(z.string(), z.array(range)),
});

/**
 * The witness beside the database: one flipped byte in SQLite's write-ahead log makes all later
 * commits vanish without any error, a file can be deleted or replaced, and only what is kept
 * outside can tell.
 *
 * Written about once a second and never synced: it may lag behind, so it only serves detection, and
 * a full disk is no reason to stop. Renamed into place, so that a crash leaves the one before.
 */
export function writeHighWater(path: string, highWater: HighWater): void {
  try {
    writeFileSync(`${path}.part`, JSON.stringify(highWater));
    renameSync(`${path}.part`, path);
  } catch {
    // The next second tries again; a commit on that disk says loudly what is wrong with it.
  }
}

/** The last state written; `none` where there is none, `unreadable` where it is damaged. */
export function readHighWater(path: string): HighWater | 'none' | 'unreadable' {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'none' : 'unreadable';
  }
}
