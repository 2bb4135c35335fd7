import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { MINUTE_MS } from '../../base/time-zone.ts';
import { Wakeup } from '../../base/wakeup.ts';
import type { LinkConfig } from '../link-config.ts';
import type { BothWays } from './link-bytes.ts';
import { LinkPass } from './link-pass.ts';
import { LinkQuotas, type QuotaName, type QuotaStats } from './link-quotas.ts';
import { LinkSchedule } from './link-schedule.ts';
import { LinkTurns, type Traffic, type Turn } from './link-turns.ts';
import { TokenBucket } from './token-bucket.ts';

/** Why a body waits. */
export type Hold = 'bandwidth' | 'schedule' | QuotaName;

export interface LinkStats {
  /** Whether anything is limited at all. */
  isLimited: boolean;
  /** Now; 0: not limited. */
  bytesPerSecondMax: number;
  /** Whether the schedule lets backlog begin now. */
  isBacklogOpen: boolean;
  /** One entry for each body that waits. */
  waiting: { traffic: Traffic; hold: Hold }[];
  quotas: QuotaStats[];
}

/** Of a link that is not limited. */
export const NO_LIMITS: LinkStats = {
  isLimited: false,
  bytesPerSecondMax: 0,
  isBacklogOpen: true,
  waiting: [],
  quotas: [],
};

export interface LinkPacerDeps {
  /** What has crossed the link since the start of the process, in bytes that are paid for. */
  linkBytes: BothWays;
  /** Exists. */
  dataDir: string;
  clock: Clock;
  log: Log;
}

/** A part of a body is worth this time, so that nobody waits longer for somebody else's part. */
const PART_MS = 100;
/** One packet, and what a socket takes at once. */
const PART_BYTES_MIN = 1400;
const PART_BYTES_MAX = 64 * 1024;

/**
 * Lets bodies onto the link as bandwidth, schedule and quotas allow.
 *
 * A body begins when schedule and quotas have room for it, and is then let go part by part. What
 * has begun is finished: half a body would have cost its bytes and brought nothing.
 * All limits count what has crossed the link: heads, TLS, questions and headers of packets, which
 * wait for nothing, are paid for by the bodies after them.
 * Nothing here ends a wait but the clock, whichever way it is set, and the signal.
 */
export class LinkPacer {
  /** Otherwise bodies need not ask. */
  readonly isLimited: boolean;
  readonly #deps: LinkPacerDeps;
  readonly #schedule: LinkSchedule;
  readonly #quotas: LinkQuotas;
  readonly #bucket: TokenBucket;
  readonly #turns = new LinkTurns();
  readonly #passes = new Set<LinkPass>();
  readonly #waiting = new Set<{ traffic: Traffic; hold: Hold }>();
  /** Of bodies that may not begin. */
  readonly #wakeup = new Wakeup();
  #lastOrder = 0;

  constructor(config: LinkConfig, deps: LinkPacerDeps) {
    const { bytesPerSecondMax, schedule, quotas } = config;
    this.isLimited = bytesPerSecondMax > 0 || schedule.length > 0 || quotas.length > 0;
    this.#deps = deps;
    this.#schedule = new LinkSchedule(config);
    this.#quotas = new LinkQuotas(config, deps);
    const nowMs = deps.clock.now();
    const limit = this.#schedule.at(nowMs).bytesPerSecondMax;
    this.#bucket = new TokenBucket(nowMs, deps.linkBytes.up, limit);
  }

  /**
   * Resolves when a body may begin and its first part may go; undefined when `signal` was aborted
   * before. Whoever got a pass has to end it.
   */
  async begin(
    body: Uint8Array,
    traffic: Traffic,
    signal: AbortSignal,
  ): Promise<LinkPass | undefined> {
    const pass = new LinkPass(body, traffic, ++this.#lastOrder, {
      letPartGo: (asking, asked) => this.#letPartGo(asking, asked),
      ended: (ending) => this.#end(ending),
    });
    await this.#wait(traffic, signal, this.#wakeup, () => {
      const hold = this.#holdOf(body, traffic);
      if (hold !== undefined) return { hold, ms: MINUTE_MS };
      this.#passes.add(pass);
      return undefined;
    });
    await this.#letPartGo(pass, signal);
    if (!signal.aborted) return pass;
    pass.end();
    return undefined;
  }

  /** To be called about once a second, and at the end. */
  housekeep(): void {
    const nowMs = this.#deps.clock.now();
    const { up, down } = this.#deps.linkBytes;
    this.#look(nowMs);
    this.#quotas.count(nowMs, up + down);
    this.#quotas.save();
  }

  stats(): LinkStats {
    const nowMs = this.#deps.clock.now();
    const { bytesPerSecondMax, backlog } = this.#schedule.at(nowMs);
    return {
      isLimited: this.isLimited,
      bytesPerSecondMax,
      isBacklogOpen: backlog,
      waiting: Array.from(this.#waiting, (wait) => ({ ...wait })),
      quotas: this.#quotas.stats(nowMs),
    };
  }

  #holdOf(body: Uint8Array, traffic: Traffic): Hold | undefined {
    const { clock, linkBytes } = this.#deps;
    const nowMs = clock.now();
    this.#quotas.count(nowMs, linkBytes.up + linkBytes.down);
    if (traffic === 'backlog' && !this.#schedule.at(nowMs).backlog) return 'schedule';
    return this.#quotas.holding(traffic, body.length, this.#underWayBytes(), nowMs);
  }

  /** Resolves when the next part of a body may go: the pass says how long it is. */
  async #letPartGo(pass: LinkPass, signal: AbortSignal): Promise<void> {
    // Backlog goes body by body, since one that is cut off has to start again. Live ones go in
    // turns, so that a small one is not held up by another tenant's large one.
    const order = pass.traffic === 'backlog' ? pass.order : ++this.#lastOrder;
    const turn: Turn = { traffic: pass.traffic, order, wakeup: new Wakeup() };
    this.#turns.join(turn);
    await this.#wait(pass.traffic, signal, turn.wakeup, () => {
      const nowMs = this.#deps.clock.now();
      const bytesPerSecond = this.#schedule.at(nowMs).bytesPerSecondMax;
      const bytes = Math.min(pass.bytesLeft, partBytes(bytesPerSecond));
      const missing = bytes - this.#look(nowMs);
      if (bytesPerSecond > 0) {
        if (this.#turns.next !== turn) return { hold: 'bandwidth', ms: MINUTE_MS };
        if (missing > 0) return { hold: 'bandwidth', ms: (missing / bytesPerSecond) * 1000 };
      }
      pass.partBytes = bytes;
      return undefined;
    });
    this.#turns.leave(turn, pass.partBytes);
  }

  /** Asks again whenever something may have changed, until nothing holds the traffic any more. */
  async #wait(
    traffic: Traffic,
    signal: AbortSignal,
    wakeup: Wakeup,
    ask: () => { hold: Hold; ms: number } | undefined,
  ): Promise<void> {
    const { clock } = this.#deps;
    const wait = { traffic, hold: 'bandwidth' as Hold };
    while (!signal.aborted) {
      const answer = ask();
      if (answer === undefined) break;
      wait.hold = answer.hold;
      this.#waiting.add(wait);
      // Hours, days and months change on full minutes; and the clock may be set at any time.
      const toNextMinuteMs = MINUTE_MS - (clock.now() % MINUTE_MS);
      const ms = Math.ceil(Math.min(answer.ms, toNextMinuteMs));
      await wakeup.wait(clock, ms, signal);
    }
    this.#waiting.delete(wait);
  }

  #look(nowMs: number): number {
    let spent = this.#deps.linkBytes.up;
    for (const { partBytes } of this.#passes) spent += partBytes;
    return this.#bucket.look(nowMs, spent, this.#schedule.at(nowMs).bytesPerSecondMax);
  }

  #underWayBytes(): number {
    let bytes = 0;
    for (const { bytesLeft } of this.#passes) bytes += bytesLeft;
    return bytes;
  }

  #end(pass: LinkPass): void {
    this.#passes.delete(pass);
    this.#wakeup.wake();
  }
}

function partBytes(bytesPerSecond: number): number {
  if (bytesPerSecond === 0) return PART_BYTES_MAX;
  const bytes = Math.floor((bytesPerSecond * PART_MS) / 1000);
  return Math.min(PART_BYTES_MAX, Math.max(PART_BYTES_MIN, bytes));
}
