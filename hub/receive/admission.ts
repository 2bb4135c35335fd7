import type { ReceiveLimits } from './contracts.ts';
import { type Reply, textReply } from './reply.ts';
import type { ReplyMaker } from './reply-maker.ts';

/** A decoded sample in columns. */
const SAMPLE_BYTES = 20;

/** Of that: a tenant that the destination does not take must leave room for others. */
const TENANT_SHARE = 0.75;

/** What all agents together may have the hub hold: checked before a batch is decoded. */
export class Admission {
  /** Bytes of decoded batches that wait for the destination. */
  heldBytes = 0;
  /** Of each tenant as the destination names it; none is 0. */
  readonly #heldByTenant = new Map<string, number>();
  readonly #limits: ReceiveLimits;
  readonly #replies: ReplyMaker;

  constructor(limits: ReceiveLimits, replies: ReplyMaker) {
    this.#limits = limits;
    this.#replies = replies;
  }

  /**
   * Why a batch of so many samples cannot be taken now; undefined when it can.
   *
   * @param tenant as the destination names it
   * @param share of what may be held that is open to it
   */
  refuse(tenant: string, samplesCount: number, share = 1): Reply | undefined {
    const { decodedBytesMax } = this.#limits;
    const heldBytesMax = this.#limits.heldBytesMax * share;
    const bytes = samplesCount * SAMPLE_BYTES;
    if (bytes > decodedBytesMax) {
      return textReply(413, `${samplesCount} samples are more than a batch may hold`);
    }
    // Whatever its size, one batch alone is let in: it would never get another chance.
    const heldOfTenant = this.#heldByTenant.get(tenant) ?? 0;
    const hasRoom =
      this.heldBytes + bytes <= heldBytesMax && heldOfTenant + bytes <= heldBytesMax * TENANT_SHARE;
    if (this.heldBytes === 0 || hasRoom) return undefined;
    return this.#replies.busy('the hub holds too much that the destination has not taken yet');
  }

  /** A batch begins to wait for the destination. */
  hold(tenant: string, bytes: number): void {
    this.heldBytes += bytes;
    this.#heldByTenant.set(tenant, (this.#heldByTenant.get(tenant) ?? 0) + bytes);
  }

  /** And ends. */
  release(tenant: string, bytes: number): void {
    this.heldBytes -= bytes;
    const left = this.#heldByTenant.get(tenant)! - bytes;
    if (left === 0) this.#heldByTenant.delete(tenant);
    else this.#heldByTenant.set(tenant, left);
  }
}
