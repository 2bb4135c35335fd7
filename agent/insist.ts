import type { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { DataDirInUse } from '../base/sqlite/data-dir-lock.ts';

/**
 * Does work on the files of the buffer until the work succeeds: senders are put off meanwhile.
 *
 * @param what of the log lines, as in "cannot open the buffer"
 * @returns undefined: `ending` was aborted first
 */
export async function insist<T>(
  what: string,
  work: () => T,
  {
    log,
    clock,
    ending,
    backoff,
  }: { log: Log; clock: Clock; ending: AbortSignal; backoff: Backoff },
): Promise<T | undefined> {
  for (;;) {
    try {
      return work();
    } catch (error) {
      // A folder that another process has locked says itself what to do.
      const check = error instanceof DataDirInUse ? '' : ': check the disk of data_dir';
      log.error({ err: error }, `cannot ${what}, trying again${check}`);
    }
    if (ending.aborted) return undefined;
    await clock.sleep(backoff.next(), ending);
  }
}
