import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';

const CHECK_EVERY_MS = 3_600_000;
const UNSEEN_HOURS = 24;
const UNSEEN_SHARE_MAX = 0.5;

export interface EpochChangeDeps {
  series: {
    readonly length: number;
    tick(elapsedMs: number): void;
    unseenShare(hours: number): number;
    reset(): void;
  };
  buffer: {
    stats(): Promise<{ backlog: ReadonlyMap<string, number> }>;
    openEpoch(): void;
  };
  clock: Clock;
  log: Log;
}

/**
 * Sheds what pods and versions of the past have left in the dictionary: begins a new epoch when
 * more than half of the entries have not been met for a day and nothing waits in the buffer. The
 * entries still in use cross the border once more, some 6 bytes each.
 */
export async function changeEpochs(deps: EpochChangeDeps, signal: AbortSignal): Promise<void> {
  const { series, clock } = deps;
  for (;;) {
    series.tick(clock.elapsedMs());
    await clock.sleep(CHECK_EVERY_MS, signal);
    if (signal.aborted) return;
    await changeIfWorthwhile(deps);
  }
}

async function changeIfWorthwhile({ series, buffer, log }: EpochChangeDeps): Promise<void> {
  const { backlog } = await buffer.stats();
  if (backlog.values().some((samples) => samples > 0)) return;
  // Looked at behind the wait: the table may have begun again meanwhile.
  if (series.unseenShare(UNSEEN_HOURS) <= UNSEEN_SHARE_MAX) return;
  log.info({ entries: series.length }, 'most series are gone: a new dictionary epoch begins');
  // No await between the two: requests in between would be stored with ids of the wrong epoch.
  series.reset();
  buffer.openEpoch();
}
