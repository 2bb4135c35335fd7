import type { DictionaryPart } from '../../proto/batch.ts';
import type { ShipTools } from './contracts.ts';
import type { DictionaryLog } from './hub-session.ts';
import type { Replies } from './replies.ts';
import { SizeLimit } from './size-limit.ts';

/** More of the dictionary than this goes ahead in batches of its own. */
const PART_BYTES_MAX = 1 << 20;

/** At the least; label sets are much alike. */
const PACKED_RATIO = 4;

/** What has to be so before samples can be sent: the hub is known, and knows the dictionary. */
export class Groundwork {
  readonly #tools: ShipTools;
  readonly #replies: Replies;
  /** Of parts, before they are packed. */
  readonly #sizes: SizeLimit;
  /** Of the last part. */
  #partBytes = 0;

  constructor(tools: ShipTools, replies: Replies) {
    this.#tools = tools;
    this.#replies = replies;
    this.#sizes = new SizeLimit(tools.clock);
  }

  /** Whether the hub has said what it holds and reads; if not, asks it, and waits where it must. */
  async isLaid(signal: AbortSignal): Promise<boolean> {
    const { session, link } = this.#tools;
    if (session.hub !== undefined && session.format !== undefined) return true;
    if (session.hub !== undefined) await this.#replies.waitForFormat(signal);
    await this.#replies.settle(await link.askPositions(signal), signal);
    return false;
  }

  /**
   * What the hub lacks of a log from entry `from` on, to go with the samples; `end` is the entry
   * behind it. Undefined when that is too much: then a part of it was sent ahead if `mayGoAhead`. It
   * may not while a batch is under way whose entries come before.
   */
  async dictionary(
    log: DictionaryLog,
    from: number,
    { mayGoAhead }: { mayGoAhead: boolean },
    signal: AbortSignal,
  ): Promise<{ part: DictionaryPart; end: number } | undefined> {
    const { session, encoding, link } = this.#tools;
    const onLink = PACKED_RATIO * link.bodyBytes('live');
    const bytesMax = Math.min(PART_BYTES_MAX, this.#sizes.bytesMax, onLink);
    const { part, end, bytes } = session.part(log, from, bytesMax);
    this.#partBytes = bytes;
    if (end === log.length) return { part, end };
    if (!mayGoAhead) return undefined;
    const frame = encoding.dictionaryBatch(log.epoch, session.epochsInUse, part);
    const reply = await link.postBatch(frame, signal, 'live');
    if (reply.kind === 'answer') {
      session.advance(log, reply.answer.dictionaryOffset, reply.answer.hub);
    }
    if (reply.kind === 'too_large') this.shrink();
    await this.#replies.settle(reply, signal);
    return undefined;
  }

  /** The last part of the dictionary was too large: smaller ones from now on. */
  shrink(): void {
    this.#sizes.refused(this.#partBytes);
  }
}
