import type { Traffic } from './link-turns.ts';
import { RoundTrips } from './round-trips.ts';

/** Nobody is suspected sooner: a packet that is lost takes a second to be sent again. */
const PATIENCE_MIN_MS = 1500;
const PATIENCE_MAX_MS = 20_000;
/** Until a batch was answered. */
const PATIENCE_FIRST_MS = 5000;
/** The link counts as moving for so long after the last byte. */
const MOVING_MS = 5000;
/** On a busy link limits that were reached grow, up to so far: its queues hold several seconds. */
const GROWTH_MAX = 16;
const BEYOND_CONNECT_TIMEOUT = 4;
/** Of attempts on a silent link one in so many takes its time: round trips may have become long. */
const PATIENT_EVERY = 4;

/** A body is to last about so long. */
const BODY_MS = 10_000;
/** A smaller body costs more in heads and answers than it brings. */
const BODY_BYTES_MIN = 8 * 1024;
/** Less says nothing of the rate: it fits into the first packets of a connection. */
const MEASURED_BYTES_MIN = 4 * 1024;
/** Of the newest measurement in the rate, where it is higher than the rate. */
const RISE = 0.5;
/** Packs at once: a lost packet keeps one connection waiting, and the others use the link. */
const PACKS_FIRST = 3;
const PACKS_MAX = 6;
/** Live batches at once, while there is a backlog: each is the smaller for it. */
const LIVE_MAX = 3;
/** With each pack that is through. */
const PACKS_GROWTH = 1 / 8;
/** Bodies are sized to last a bit less: packs have taken what live batches need. */
const LIVE_SLOW_MS = 15_000;
/** While nothing is known: 32 kbit/s. */
const RATE_FIRST = 4000;

/**
 * What the link to one hub gives, as far as requests show: round trips, the rate of bodies, and
 * whether anything moves. All times are real ones, whatever clock the shipping goes by.
 */
export class LinkGauge {
  readonly #connectTimeoutMs: number;
  readonly #prompt = new RoundTrips();
  readonly #answers = { live: new RoundTrips(), backlog: new RoundTrips() };
  /** Of one body, in bytes a second. */
  readonly #rates: Record<Traffic, number | undefined> = { live: undefined, backlog: undefined };
  #packsMax = PACKS_FIRST;
  /** Limits that were reached since the last answer. */
  #reached = 0;
  #movedAtMs = Number.NEGATIVE_INFINITY;

  /** @param connectTimeoutMs for what must be answered at once, while nothing is measured */
  constructor(connectTimeoutMs: number) {
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /** Bytes have crossed the link. */
  moved(): void {
    this.#movedAtMs = performance.now();
  }

  /** What the other end answers at once was answered: a handshake or a question. */
  answeredAtOnce(ms: number): void {
    this.#prompt.add(ms);
    this.#reached = 0;
    this.moved();
  }

  /** `promptLimitMs` was reached. */
  notAnsweredAtOnce(): void {
    this.#reached++;
  }

  /** A batch was answered `ms` after it began. */
  answered(traffic: Traffic, ms: number): void {
    this.#answers[traffic].add(ms);
    this.moved();
  }

  /** A body has crossed the link in `ms`, or is not through after that. */
  crossed(traffic: Traffic, bytes: number, ms: number, isThrough: boolean): void {
    const rate = (bytes * 1000) / Math.max(1, ms);
    const before = this.#rates[traffic];
    const isTooSlow = ms > BODY_MS;
    if (isThrough) this.#makeRoom(traffic, ms);
    if (!isThrough && !(isTooSlow && (before === undefined || rate < before))) return;
    if (isThrough && bytes < MEASURED_BYTES_MIN && !isTooSlow) return;
    const isRise = before !== undefined && rate > before;
    this.#rates[traffic] = isRise ? before + RISE * (rate - before) : rate;
  }

  /** What a body may have so that it lasts about ten seconds; without limit while unmeasured. */
  bodyBytes(traffic: Traffic): number {
    const rate = this.#rates[traffic] ?? Number.POSITIVE_INFINITY;
    return Math.max(BODY_BYTES_MIN, (rate * BODY_MS) / 1000);
  }

  /**
   * How many bodies may share the link whatever their size. Packs: more while live batches are quick,
   * half as many whenever one of those takes longer than a body should. Live batches: several, but one
   * where several bodies would be too small to be worth their heads.
   */
  atOnce(traffic: Traffic): number {
    if (traffic === 'backlog') return Math.floor(this.#packsMax);
    return this.bodyBytes('live') < 2 * BODY_BYTES_MIN ? 1 : LIVE_MAX;
  }

  /**
   * For what the other end does at once, in ms. On a busy link everybody waits for others, and the
   * limit grows; attempts on a silent one are short, so that its return is noticed soon.
   */
  promptLimitMs(): number {
    const usualMs = this.#prompt.limitMs;
    if (usualMs === undefined) return this.#connectTimeoutMs;
    const limitMs = Math.ceil(Math.max(PATIENCE_MIN_MS, 2 * usualMs));
    if (performance.now() - this.#movedAtMs < MOVING_MS) {
      const maxMs = BEYOND_CONNECT_TIMEOUT * this.#connectTimeoutMs;
      return Math.min(maxMs, limitMs * Math.min(2 ** this.#reached, GROWTH_MAX));
    }
    const isPatient = this.#reached % PATIENT_EVERY === PATIENT_EVERY - 1;
    return isPatient ? this.#connectTimeoutMs : Math.min(this.#connectTimeoutMs, limitMs);
  }

  /**
   * When to ask for a batch of `bytes`, in ms since anything moved. Where the kernel tells what of
   * it was acknowledged, `bytes` is 0: its own time does not count then.
   */
  patienceMs(traffic: Traffic, bytes: number): number {
    const usualMs = this.#answers[traffic].limitMs;
    const patienceMs = usualMs === undefined ? PATIENCE_FIRST_MS : 1.5 * usualMs;
    const boundedMs = Math.min(PATIENCE_MAX_MS, Math.max(PATIENCE_MIN_MS, patienceMs));
    return boundedMs + (2000 * bytes) / (this.#rates[traffic] ?? RATE_FIRST);
  }

  #makeRoom(traffic: Traffic, ms: number): void {
    if (traffic === 'backlog') this.#packsMax = Math.min(PACKS_MAX, this.#packsMax + PACKS_GROWTH);
    else if (ms > LIVE_SLOW_MS) this.#packsMax = Math.max(1, this.#packsMax / 2);
  }
}
