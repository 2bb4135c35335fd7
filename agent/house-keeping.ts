import type { Clock } from '../base/clock.ts';

const EVERY_MS = 1000;
const CLOCK_TOLERANCE_MS = 1000;

export interface HouseKeepingDeps {
  buffer: { housekeep(): void };
  pacer: { housekeep(): void };
  /** How far the hub's clock is ahead of ours, in ms. */
  shipper: { readonly hubAheadMs: number };
  clock: Clock;
  /** The clocks have moved against each other. */
  onHubClock(aheadMs: number): void;
}

/** Does every second what nobody asks for, until `signal` is aborted. */
export async function houseKeeping(
  { buffer, pacer, shipper, clock, onHubClock }: HouseKeepingDeps,
  signal: AbortSignal,
): Promise<void> {
  let toldMs = 0;
  while (!signal.aborted) {
    buffer.housekeep();
    pacer.housekeep();
    const { hubAheadMs } = shipper;
    if (Math.abs(hubAheadMs - toldMs) > CLOCK_TOLERANCE_MS) {
      toldMs = hubAheadMs;
      onHubClock(hubAheadMs);
    }
    await clock.sleep(EVERY_MS, signal);
  }
}
