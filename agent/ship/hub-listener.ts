import type { BoundedLog } from '../../base/log.ts';
import type { DestinationState } from '../../proto/answer.ts';
import { CLOCK_TOLERANCE_MS, type HubClock } from '../hub-clock.ts';
import type { Kind, Suspicion } from './exchange.ts';
import type { HubLink, HubReply } from './hub-client.ts';
import type { Traffic } from './link-turns.ts';
import type { ShipStats } from './ship-stats.ts';

export interface HubListenerDeps {
  link: HubLink;
  hubClock: HubClock;
  stats: ShipStats;
  log: BoundedLog;
}

/**
 * The link to the hub with an ear on what every reply says beside its own matter: the time, and how
 * the destination does. Answers inside of a state are of another time, and are not listened to.
 */
export class HubListener implements HubLink {
  readonly #deps: HubListenerDeps;
  /** What was last said of the clock of this machine. */
  #saidAheadMs = 0;

  constructor(deps: HubListenerDeps) {
    this.#deps = deps;
  }

  async postBatch(
    frame: Uint8Array,
    signal: AbortSignal,
    kind: Kind,
    suspect?: Suspicion,
  ): Promise<HubReply> {
    return this.#hear(await this.#deps.link.postBatch(frame, signal, kind, suspect));
  }

  async askPositions(signal: AbortSignal): Promise<HubReply> {
    return this.#hear(await this.#deps.link.askPositions(signal));
  }

  bodyBytes(traffic: Traffic): number {
    return this.#deps.link.bodyBytes(traffic);
  }

  atOnce(traffic: Traffic): number {
    return this.#deps.link.atOnce(traffic);
  }

  #hear(reply: HubReply): HubReply {
    if (reply.kind === 'answer') {
      this.#hearClock(reply.answer.hubClockMs);
      if (reply.answer.destination !== undefined) this.#hearOfDestination(reply.answer.destination);
    }
    if (reply.kind === 'state' || reply.kind === 'unreadable_format') {
      this.#hearClock(reply.state.hubClockMs);
    }
    return reply;
  }

  #hearClock(hubClockMs: number): void {
    const { hubClock, log } = this.#deps;
    hubClock.hear(hubClockMs);
    const aheadMs = hubClock.aheadMs() ?? 0;
    if (Math.abs(aheadMs - this.#saidAheadMs) <= CLOCK_TOLERANCE_MS) return;
    const fields = { behindSeconds: Math.round(aheadMs / 1000) };
    if (Math.abs(aheadMs) > CLOCK_TOLERANCE_MS) {
      this.#saidAheadMs = aheadMs;
      log.warn(
        'clock',
        fields,
        'the clock of this machine is not that of the hub: set it right; until then future samples ' +
          'are judged by the later of the two, and nothing is evicted for its age',
      );
    } else {
      this.#saidAheadMs = 0;
      log.warn(
        'clock right',
        fields,
        'the clock of this machine agrees with that of the hub again',
      );
    }
  }

  #hearOfDestination(state: DestinationState): void {
    const { stats, log } = this.#deps;
    const before = stats.destination;
    stats.destination = state;
    if (state === before) return;
    if (state !== 'taking') {
      log.warn(
        'destination',
        { destination: state },
        'the hub is there, but its destination does not take samples: see the log of the hub; ' +
          'samples are kept',
      );
    } else if (before !== undefined) {
      log.warn('destination taking', {}, 'the destination of the hub takes samples again');
    }
  }
}
