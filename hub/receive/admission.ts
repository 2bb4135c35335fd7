import type { ReceiveLimits } from './contracts.ts';
import { type Reply, textReply } from './reply.ts';
import type { ReplyMaker } from './reply-maker.ts';

/** A decoded sample in columns. */
const SAMPLE_BYTES = 20;

/** What all agents together may have the hub hold: checked before a batch is decoded. */
export class Admission {
  /** Bytes of decoded batches that wait for the destination. */
  heldBytes = 0;
  readonly #limits: ReceiveLimits;
  readonly #replies: ReplyMaker;

  constructor(limits: ReceiveLimits, replies: ReplyMaker) {
    this.#limits = limits;
    this.#replies = replies;
  }

  /**
   * Why a batch of so many samples cannot be taken now; undefined when it can.
   *
   * @param share of what may be held that is open to it
   */
  refuse(samplesCount: number, share = 1): Reply | undefined {
    const { decodedBytesMax } = this.#limits;
    const heldBytesMax = this.#limits.heldBytesMax * share;
    const bytes = samplesCount * SAMPLE_BYTES;
    if (bytes > decodedBytesMax) {
      return textReply(413, `${samplesCount} samples are more than a batch may hold`);
    }
    // Whatever its size, one batch alone is let in: it would never get another chance.
    if (this.heldBytes === 0 || this.heldBytes + bytes <= heldBytesMax) return undefined;
    return this.#replies.busy('the hub holds too much that the destination has not taken yet');
  }
}
