import type { ReceiveLimits } from './contracts.ts';
import { type Reply, textReply } from './reply.ts';
import type { ReplyMaker } from './reply-maker.ts';

/** A decoded sample in columns. */
const SAMPLE_BYTES = 20;

/**
 * What all agents together may have the hub hold: checked before a batch is decoded.
 *
 * A tenant that holds something may add as much as is still free and no more, so that it never holds
 * more than half: one that the destination does not take, for as long as that may be, leaves room
 * for its neighbours.
 */
export class Admission {
  readonly #limits: ReceiveLimits;
  readonly #replies: ReplyMaker;
  /** By tenant of the destination; those that hold nothing are not in it. */
  readonly #held = new Map<string, number>();
  #heldBytes = 0;

  constructor(limits: ReceiveLimits, replies: ReplyMaker) {
    this.#limits = limits;
    this.#replies = replies;
  }

  /** Bytes of decoded batches that wait for the destination. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** A batch of the tenant waits for the destination from now on. */
  hold(tenant: string, bytes: number): void {
    this.#heldBytes += bytes;
    this.#held.set(tenant, (this.#held.get(tenant) ?? 0) + bytes);
  }

  /** It waits no more. */
  letGo(tenant: string, bytes: number): void {
    this.#heldBytes -= bytes;
    const left = (this.#held.get(tenant) ?? 0) - bytes;
    if (left > 0) this.#held.set(tenant, left);
    else this.#held.delete(tenant);
  }

  /**
   * Why a batch of so many samples cannot be taken now; undefined when it can.
   *
   * @param tenant as the destination names it
   * @param share of what may be held that is open to it
   */
  refuse(tenant: string, samplesCount: number, share = 1): Reply | undefined {
    const { decodedBytesMax, heldBytesMax } = this.#limits;
    const bytes = samplesCount * SAMPLE_BYTES;
    if (bytes > decodedBytesMax) {
      return textReply(413, `${samplesCount} samples are more than a batch may hold`);
    }
    const held = this.#held.get(tenant) ?? 0;
    const free = heldBytesMax * share - this.#heldBytes;
    // Whatever its size, one batch alone is let in: it would never get another chance.
    if (this.#heldBytes === 0 || held + bytes <= free) return undefined;
    return this.#replies.busy('the hub holds too much that the destination has not taken yet');
  }
}
