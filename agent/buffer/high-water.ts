import { closeSync, constants, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { z } from 'zod';

/** What a run has committed, and what of it and of runs before it waited then. */
export interface HighWater {
  run: string;
  /** Milliseconds since the Unix epoch. */
  writtenAt: number;
  /** Last segment sequence of each tenant that the run has committed. */
  tenants: Record<string, number>;
  /** How often the run has removed segments. */
  removals: number;
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
  removals: z.int(),
  waiting: z.record(z.string(), z.array(range)),
});

/**
 * The witness beside the database: one flipped byte in SQLite's write-ahead log makes all later
 * commits vanish without any error, a file can be deleted or replaced, and only what is kept
 * outside can tell.
 *
 * Never synced: a power cut may leave an old one, or none that can be read, so it only serves
 * detection, and a disk that cannot take it is no reason to stop. Written over in place and never
 * shorter, so that a process that is killed leaves a whole one, and a full disk takes it as well.
 */
export class HighWaterFile {
  readonly #path: string;
  #bytes: number;

  constructor(path: string) {
    this.#path = path;
    this.#bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }

  write(highWater: HighWater): void {
    const content = Buffer.from(JSON.stringify(highWater).padEnd(this.#bytes));
    try {
      const file = openSync(this.#path, constants.O_WRONLY | constants.O_CREAT, 0o644);
      try {
        writeSync(file, content);
        this.#bytes = content.length;
      } finally {
        closeSync(file);
      }
    } catch {
      // The next second tries again; a commit on that disk says loudly what is wrong with it.
    }
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
