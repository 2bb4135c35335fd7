/** The date of what was stored while nobody could confirm the time. */
export const UNDATED = 0;
/** No sample was stored before the first version of this program: an earlier date is none. */
const EARLIEST_MS = Date.UTC(2025, 0);
/**
 * Dates are stored as negative numbers. Before there were versions of the buffer, the time of the
 * machine alone was stored in their place: a positive number, which counts as no date.
 */
const DATED = -1;

/** What the machine's clock and the hub's say where they agree, as HubClock does. */
export interface ConfirmedClock {
  /** Milliseconds since the Unix epoch; undefined: not known at present. */
  confirmed(): { earliestMs: number; latestMs: number } | undefined;
}

/**
 * Dates what is stored, and tells what is too old. Eviction cannot be undone: only a time that the
 * hub confirms counts, both for the date and for the judgement. What has no date, or one that lies
 * in the future, counts as stored when the present stretch of confirmed time began.
 */
export class StorageDates {
  readonly #clock: ConfirmedClock;
  #confirmedSinceMs: number | undefined;

  constructor(clock: ConfirmedClock) {
    this.#clock = clock;
  }

  /** For what is stored now, in milliseconds since the Unix epoch; see DATED. */
  date(): number {
    const now = this.#now();
    // The later of the two: the next process of the machine may have another error.
    return now === undefined ? UNDATED : DATED * now.latestMs;
  }

  /** Whether something was stored more than `ageMaxMs` ago; undefined: nobody can tell at present. */
  judge(ageMaxMs: number): ((stored: { storedAt: number }) => boolean) | undefined {
    const now = this.#now();
    if (now === undefined) return undefined;
    const sinceMs = this.#confirmedSinceMs!;
    return ({ storedAt }) => {
      const dateMs = DATED * storedAt;
      const isDated = dateMs >= EARLIEST_MS && dateMs <= now.latestMs;
      return now.earliestMs - (isDated ? dateMs : sinceMs) > ageMaxMs;
    };
  }

  #now(): { earliestMs: number; latestMs: number } | undefined {
    const now = this.#clock.confirmed();
    if (now === undefined) this.#confirmedSinceMs = undefined;
    else this.#confirmedSinceMs ??= now.latestMs;
    return now;
  }
}
