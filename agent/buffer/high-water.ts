import { closeSync, constants, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import { z } from 'zod';

/** Its name in data_dir. */
export const HIGH_WATER_FILE = 'high-water.json';

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
 * shorter, so that a process that is killed leaves a whole one. A file that has to grow grows by
 * blanks first: where the disk is full, what it held stays readable.
 */
export class HighWaterFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Whether all of it was written. */
  write(highWater: HighWater): boolean {
    try {
      const file = openSync(this.#path, constants.O_WRONLY | constants.O_CREAT, 0o644);
      try {
        const content = Buffer.from(JSON.stringify(highWater));
        const { size } = fstatSync(file);
        const blanks = Buffer.alloc(Math.max(0, content.length - size), ' ');
        if (!writeAll(file, blanks, size)) return false;
        return writeAll(file, padded(content, size), 0);
      } finally {
        closeSync(file);
      }
    } catch {
      // The next second tries again; a commit on that disk says loudly what is wrong with it.
      return false;
    }
  }
}

/** Followed by blanks up to `bytes`. */
function padded(content: Buffer, bytes: number): Buffer {
  return Buffer.concat([content, Buffer.alloc(Math.max(0, bytes - content.length), ' ')]);
}

/**
 * A disk that is nearly full takes a part: the rest is written until nothing more goes.
 *
 * @throws errors of the file system
 */
function writeAll(file: number, bytes: Uint8Array, at: number): boolean {
  let written = 0;
  while (written < bytes.length) {
    const taken = writeSync(file, bytes, written, bytes.length - written, at + written);
    if (taken === 0) return false;
    written += taken;
  }
  return true;
}

/** The last state written; `none` where there is none, `unreadable` where it is damaged. */
export function readHighWater(path: string): HighWater | 'none' | 'unreadable' {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'none' : 'unreadable';
  }
}
