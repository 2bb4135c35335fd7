import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import type { Log } from '../../base/log.ts';

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
 * Written about once a second and never synced: it may lag behind, so it only serves detection, and
 * a full disk that cuts it off is no reason to stop.
 */
export function writeHighWater(path: string, highWater: HighWater): void {
  try {
    writeFileSync(path, JSON.stringify(highWater));
  } catch {
    // The next second tries again; a commit on that disk says loudly what is wrong with it.
  }
}

/** The last state written, or nothing where there is none or it was cut off by a crash. */
function readHighWater(path: string): HighWater | undefined {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return undefined;
  }
}

/**
 * Compares what the last run said it had committed with the last sequences `heads` in the
 * database; returns how many segments have vanished.
 */
export function reportVanished(
  path: string,
  heads: readonly { run: string; tenant: string; last: number }[],
  log: Log,
): number {
  const witness = readHighWater(path);
  let vanished = 0;
  for (const [tenant, last] of Object.entries(witness?.tenants ?? {})) {
    const head = heads.find((found) => found.run === witness?.run && found.tenant === tenant);
    const found = head?.last ?? 0;
    if (found >= last) continue;
    vanished += last - found;
    log.error(
      { tenant, run: witness?.run, firstMissing: found + 1, lastMissing: last },
      'committed segments have vanished from buffer.db: its write-ahead log was damaged, or an ' +
        'older copy of the file was put in place; the samples in between are lost unless they ' +
        'were delivered before',
    );
  }
  return vanished;
}
