import type { DictionaryPart } from '../../proto/batch.ts';
import { decodeEntries } from '../../proto/dictionary/part-decoder.ts';
import type { AgentSession } from './agent-session.ts';
import type { AgentStore } from './agent-store.ts';
import type { DictionaryLog, SeriesCopy } from './dictionary-log.ts';
import type { Reply } from './reply.ts';
import type { ReplyMaker } from './reply-maker.ts';

/**
 * What a part may expand to: agents send about 1 MiB at a time, and one entry may be as large as a
 * label set of 64 KiB with its tenant.
 */
const PART_BYTES_MAX = 4 * 2 ** 20;
const PART_ENTRIES_MAX = 2 ** 20;

export interface DictionaryIntakeDeps {
  store: AgentStore;
  seriesPerAgentMax: number;
  replies: ReplyMaker;
}

/** Takes parts of agents' dictionary logs into the copies, in memory and durably. */
export class DictionaryIntake<Copy extends SeriesCopy> {
  readonly #deps: DictionaryIntakeDeps;

  constructor(deps: DictionaryIntakeDeps) {
    this.#deps = deps;
  }

  /**
   * Adds a part to the copy; it is durable when this returns. A reply says why it does not fit.
   *
   * @throws DecodeError when the part is malformed, StoreUnavailable; the copy is then as it was
   */
  take(
    session: AgentSession<Copy>,
    { epoch, log }: { epoch: bigint; log: DictionaryLog<Copy> },
    part: DictionaryPart,
  ): Reply | undefined {
    const { store, seriesPerAgentMax, replies } = this.#deps;
    const { offset, hash } = part;
    const entries = decodeEntries(part.entries, {
      entriesMax: PART_ENTRIES_MAX,
      bytesMax: PART_BYTES_MAX,
    });
    const newEntries = offset + entries.length - log.offset;
    if (newEntries > 0 && session.entries + newEntries > seriesPerAgentMax) {
      return replies.mismatch(session, 'dictionary full');
    }
    const verdict = log.take(offset, hash, entries);
    if (verdict.kind === 'behind') return replies.mismatch(session, 'dictionary behind');
    if (verdict.kind === 'diverged') return replies.mismatch(session, 'diverged');
    if (verdict.entries.length === 0) return undefined;
    try {
      store.addEntries(session.agent, epoch, verdict.firstId, verdict.entries);
    } catch (error) {
      log.copy.truncate(verdict.firstId);
      throw error;
    }
    return undefined;
  }
}
