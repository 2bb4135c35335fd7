import { type DropReason, RefusedRecord } from '../../hub/refused/refused-record.ts';
import {
  openRefusedStore,
  type RefusedStore,
  setDamagedAside,
  visitRefusedStore,
} from '../../hub/store/refused-store.ts';
import type { Workspace } from '../tools/workspace.ts';
import { InstantClock } from './write-fixture.ts';

export const MIB = 1024 ** 2;

/** The clock of a machine that can be set. */
export class SteppedClock extends InstantClock {
  #stepMs = 0;

  override now(): number {
    return super.now() + this.#stepMs;
  }

  step(ms: number): void {
    this.#stepMs += ms;
  }
}

export interface RecordRig {
  record: RefusedRecord;
  clock: SteppedClock;
  dropped: Record<DropReason, number>;
  /** Keys of the log lines. */
  lines: string[];
  /** Aborted as soon as something is dropped. */
  ending: AbortController;
  /** From now on the disk refuses to open anything. */
  isDiskGone: boolean;
}

/** A record in `dataDir`, closed with the workspace. */
export function openRecordIn(
  workspace: Workspace,
  dataDir: string,
  options: { bytesMax?: number; ageMaxMs?: number; isDiskGone?: boolean } = {},
): RecordRig {
  const { bytesMax = MIB, ageMaxMs = 0, isDiskGone = false } = options;
  const clock = new SteppedClock();
  const dropped = { age: 0, bytes: 0, disk: 0 };
  const lines: string[] = [];
  const rig = { clock, dropped, lines, isDiskGone, ending: new AbortController() };
  const record = new RefusedRecord({
    open() {
      if (rig.isDiskGone) throw new Error('no space left on device');
      return openRefusedStore(dataDir, bytesMax);
    },
    failed: (error) => setDamagedAside(dataDir, error),
    ageMaxMs,
    dropped: (reason, records) => {
      dropped[reason] += records;
      if (records > 0) rig.ending.abort();
    },
    clock,
    log: { warn: (key) => lines.push(key), error: (key) => lines.push(key) },
  });
  workspace.onClose(() => record.close());
  return Object.assign(rig, { record });
}

/** Looks at the database as another process does. */
export function lookInto<T>(dataDir: string, work: (store: RefusedStore) => T): T {
  const store = visitRefusedStore(dataDir, MIB);
  if (store === undefined) throw new Error('there is no record');
  try {
    return work(store);
  } finally {
    store.close();
  }
}
