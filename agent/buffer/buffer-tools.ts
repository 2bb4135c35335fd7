import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import type { Losses } from './losses.ts';
import type { ConfirmedClock } from './storage-dates.ts';

/** Segments of a tenant that the destination has answered for. */
export interface Answered {
  tenant: string;
  ranges: readonly PositionRange[];
  /** Told how many samples were removed, once they are: a failing disk may take its time. */
  onForgotten(samples: number): void;
}

export interface BufferTools {
  clock: Clock;
  /** For the age limit. */
  hubClock: ConfirmedClock;
  random: Random;
  log: Log;
  /** Counted on from here, where a buffer of this process came before. */
  losses?: Losses;
  /** What the destination has answered for while that buffer could not forget it. */
  unforgotten?: readonly Answered[];
  /** Called before opening takes longer because something has to be salvaged. */
  onDelay?: () => void;
  /**
   * When opening was tried first, on the clock that never jumps: it throws NoRoomError for ten
   * minutes from then while the disk has no room for what is salvaged. Without it, it never does.
   */
  triedSinceMs?: number;
}
