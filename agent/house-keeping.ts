import type { Clock } from '../base/clock.ts';

const EVERY_MS = 1000;

export interface HouseKeepingDeps {
  buffer: { housekeep(): void; tellDiscards(): void };
  pacer: { housekeep(): void };
  clock: Clock;
}

/** Does every second what nobody asks for, until `signal` is aborted. */
export async function houseKeeping(
  { buffer, pacer, clock }: HouseKeepingDeps,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    buffer.housekeep();
    buffer.tellDiscards();
    pacer.housekeep();
    await clock.sleep(EVERY_MS, signal);
  }
}
