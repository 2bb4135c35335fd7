import { Wakeup } from '../../base/wakeup.ts';
import type { Answer } from '../../proto/answer.ts';
import type { PositionRange } from '../../proto/position-ranges.ts';
import { BatchDelivery } from './batch-delivery.ts';
import type {
  EncodedBatch,
  PackParts,
  ShipOptions,
  ShippablePack,
  ShipTools,
} from './contracts.ts';
import { Groundwork } from './groundwork.ts';
import type { HubReply } from './hub-client.ts';
import type { DictionaryLog } from './hub-session.ts';
import { PackSizes } from './pack-sizes.ts';
import { PackWindow } from './pack-window.ts';
import { Replies } from './replies.ts';
import type { SentSegments } from './sent-segments.ts';
import { countOne, recordAnswer } from './ship-stats.ts';

/** How often to look for packs that nobody has told of. */
const LOOK_EVERY_MS = 1000;

export interface PackLoopDeps {
  tenant: string;
  options: ShipOptions;
  tools: ShipTools;
  sent: SentSegments;
}

interface Misfit {
  pack: ShippablePack;
  reply: HubReply;
  /** Of the dictionary in the batch, packed. */
  entryBytes: number;
}

interface Sent {
  pack: ShippablePack;
  log: DictionaryLog;
  batch: EncodedBatch;
  entryBytes: number;
}

interface UnderWay {
  sequence: number;
  /** Whether the hub cannot have it from an earlier row. */
  isNew: boolean;
  /** Resolves when it is answered, does not fit, or is given up. */
  shipping: Promise<void>;
  givingUp: AbortController;
}

/** A row of packs: the hub takes them in by their sequence. */
interface Row {
  stream: bigint;
  nextSequence: number;
  window: PackWindow;
  /** Why the row cannot go on. */
  misfit?: Misfit;
  /** Nothing more of it starts. */
  ending: AbortController;
  underWay: Map<ShippablePack, UnderWay>;
}

/**
 * Ships the packs of one tenant, oldest first, several under way at a time. They are rows: a reply
 * that does not fit ends the row, and the next one begins with the oldest pack there is.
 */
export class PackLoop {
  readonly #deps: PackLoopDeps;
  readonly #replies: Replies;
  readonly #groundwork: Groundwork;
  readonly #wakeup = new Wakeup();
  #row: Row | undefined;
  readonly #sizes: PackSizes;
  /** Rows are numbered: a hub that hears of a lower one knows that it comes late. */
  #rowNumber: bigint;

  constructor(deps: PackLoopDeps) {
    const { tools, tenant } = deps;
    this.#deps = deps;
    this.#rowNumber = tools.random.id64() >> 1n;
    this.#replies = new Replies(tools, tenant);
    this.#groundwork = new Groundwork(tools, this.#replies);
    this.#sizes = new PackSizes(deps);
  }

  /** Positions of the packs on their way: what became of their samples is counted then. */
  get due(): PositionRange[] {
    return Array.from(this.#row?.underWay.keys() ?? [], ({ positions }) => positions).flat();
  }

  /** There may be a pack. */
  wake(): void {
    this.#wakeup.wake();
  }

  /** Live first: ships packs beside everything else until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.drain(signal);
      await this.#wakeup.wait(this.#deps.tools.clock, LOOK_EVERY_MS, signal);
    }
  }

  /** Ships packs as long as there is one that may go now. */
  async drain(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#next() !== undefined) {
      if (!(await this.#groundwork.isLaid(signal))) continue;
      const misfit = await this.#ship(signal);
      if (misfit !== undefined) await this.#settle(misfit, signal);
    }
  }

  /** Ships one row; resolves when nothing of it is under way. */
  async #ship(signal: AbortSignal): Promise<Misfit | undefined> {
    const { clock } = this.#deps.tools;
    this.#rowNumber++;
    const row: Row = {
      stream: this.#rowNumber,
      nextSequence: 0,
      window: new PackWindow(clock),
      ending: new AbortController(),
      underWay: new Map(),
    };
    this.#row = row;
    const end = AbortSignal.any([signal, row.ending.signal]);
    const underWay = () => Array.from(row.underWay.values(), ({ shipping }) => shipping);
    while (!end.aborted) {
      const pack = this.#next();
      if (pack !== undefined && this.#mayStart(row, pack)) await this.#start(row, pack, signal);
      else if (row.underWay.size > 0) await Promise.race(underWay());
      else break;
    }
    await Promise.all(underWay());
    this.#row = undefined;
    return row.misfit;
  }

  /**
   * Nothing behind `sequence` will be taken in; what is before it may still be answered for. Where
   * that one was refused, the hub has neither that one nor what is behind it.
   */
  #end(row: Row, sequence: number, { isRefused }: { isRefused: boolean }): void {
    row.ending.abort();
    for (const [pack, one] of row.underWay) {
      if (one.sequence < sequence) continue;
      if (one.sequence > sequence) one.givingUp.abort();
      if (isRefused && one.isNew) this.#sizes.noteNotAtHub(pack);
    }
  }

  /** The oldest pack that is not under way, unless something older has to go first. */
  #next(): ShippablePack | undefined {
    const { tools, tenant, options } = this.#deps;
    const { samples } = tools;
    const pack = samples.packs(tenant).find((one) => this.#row?.underWay.has(one) !== true);
    if (pack === undefined || options.order === 'live_first') return pack;
    return samples.hasSegmentBefore(tenant, pack.id) ? undefined : pack;
  }

  #mayStart({ window, underWay, nextSequence }: Row, pack: ShippablePack): boolean {
    if (this.#deps.tools.session.hub === undefined) return false;
    // While hubs take turns no row can live: each pack is the first of its own.
    if (this.#deps.tools.session.isFlapping) return underWay.size === 0;
    return window.hasRoom(nextSequence, pack, this.#deps.tools.link.atOnce('backlog'));
  }

  async #start(row: Row, pack: ShippablePack, signal: AbortSignal): Promise<void> {
    const { samples, session, parkPack } = this.#deps.tools;
    const end = AbortSignal.any([signal, row.ending.signal]);
    const log = samples.dictionaryOfEpoch(pack.epoch);
    const from = Math.min(log.length, session.reliableOffset(log));
    const missing = await this.#groundwork.dictionary(log, from, { mayGoAhead: true }, end);
    // Others may have changed both while a part of the dictionary was sent.
    if (missing === undefined || end.aborted || this.#next() !== pack) return;
    if (this.#sizes.cut(pack)) return;
    const window = session.windows.of(this.#deps.tenant);
    if (window !== undefined && parkPack(this.#deps.tenant, pack.key, window)) return;
    const body = samples.readPack(pack);
    // Damaged, or a failing disk: where it is still there, it comes again.
    if (body === undefined) return await this.#replies.pause(end);
    // No await until it is known to be under way: nobody may find it answered for in between.
    const isNew = this.#sizes.isNew(pack);
    const batch = this.#build(row, pack, log, { body, dictionary: missing.part });
    const { sequence } = batch;
    const entryBytes = missing.part.entries.length;
    this.#sizes.sent(pack);
    const givingUp = new AbortController();
    const giveUp = AbortSignal.any([signal, givingUp.signal]);
    row.window.add(sequence, pack);
    const shipping = this.#deliver(row, { batch, pack, log, entryBytes }, giveUp).finally(() => {
      row.underWay.delete(pack);
      row.window.remove(sequence);
      samples.unpinPack(pack);
    });
    row.underWay.set(pack, { sequence, isNew, shipping, givingUp });
  }

  /** The next batch of the row. */
  #build(
    row: Row,
    pack: ShippablePack,
    log: DictionaryLog,
    content: Pick<PackParts, 'body' | 'dictionary'>,
  ): EncodedBatch {
    const { tools, sent, tenant, options } = this.#deps;
    const { session, encoding } = tools;
    const { epoch } = log;
    const { epochsInUse } = session;
    const batch = encoding.packBatch({
      ...content,
      stream: row.stream,
      sequence: row.nextSequence++,
      keyframe: { tenant, samplesFormat: pack.format, epoch, epochsInUse },
      positions: pack.positions,
      samples: pack.samples,
      mayBeRedelivered: sent.mayHoldPack(pack),
      unordered: options.order === 'live_first',
    });
    sent.addPack(pack);
    return batch;
  }

  async #deliver(
    row: Row,
    { batch, pack, log, entryBytes }: Sent,
    signal: AbortSignal,
  ): Promise<void> {
    const { tools, tenant } = this.#deps;
    // Replies of its own: packs that fail together would drive up a backoff that they share.
    const replies = new Replies(tools, tenant);
    const first = () => row.window.first ?? batch.sequence;
    const isDeadly = () => this.#sizes.isDeadly(pack);
    const how = {
      tenant,
      traffic: 'backlog',
      first,
      tools,
      replies,
      isDeadly,
    } as const;
    const delivered = await new BatchDelivery(how).deliver(batch, signal);
    if (delivered.kind === 'answered') {
      row.window.answered(pack);
      this.#accept(log, batch, delivered.answer);
    }
    if (delivered.kind === 'misfit') {
      row.misfit ??= { pack, reply: delivered.reply, entryBytes };
    }
    const goesOn = delivered.kind === 'answered' && !tools.session.isFlapping;
    const isRefused = delivered.kind === 'misfit' && delivered.reply.kind === 'too_large';
    if (!goesOn) this.#end(row, batch.sequence, { isRefused });
  }

  #accept(log: DictionaryLog, batch: EncodedBatch, answer: Answer): void {
    const { samples, session, stats, clock } = this.#deps.tools;
    this.#replies.succeeded();
    samples.acknowledge(this.#deps.tenant, batch.positions);
    session.advance(log, answer.dictionaryOffset, answer.hub);
    session.windows.hear(this.#deps.tenant, answer);
    recordAnswer(stats, answer.settlement, clock);
    countOne(stats.replies, 'answer');
  }

  async #settle({ pack, reply, entryBytes }: Misfit, signal: AbortSignal): Promise<void> {
    if (reply.kind === 'too_large') {
      if (entryBytes > pack.bytes) this.#groundwork.shrink();
      this.#sizes.refused(pack, reply.message, { entryBytes });
    }
    await this.#replies.settle(reply, signal);
    if (reply.kind === 'unreadable_format') this.#recode(pack);
  }

  /** The segment `id` was refused as too large, and has become a pack. */
  splitSegment(id: number): void {
    this.#sizes.splitSegment(id);
    this.wake();
  }

  /** The hub has said which formats it reads. */
  #recode({ key, samples, format }: ShippablePack): void {
    const { tools, tenant } = this.#deps;
    const { session, log, recodePack } = tools;
    // None that both ends know: the session waits until there is one.
    if (session.format === undefined || session.format === format) return;
    if (recodePack(tenant, key, session.format)) return;
    log.error(
      'pack format',
      { samples, format },
      'the hub does not read the format of a pack, and this agent cannot write it anew: upgrade ' +
        'the hub; samples are kept here',
    );
  }
}
