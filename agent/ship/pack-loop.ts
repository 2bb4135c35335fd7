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
import { PackWindow } from './pack-window.ts';
import { Replies } from './replies.ts';
import type { SentSegments } from './sent-segments.ts';
import { countOne, recordAnswer } from './ship-stats.ts';
import { type Find, findPack } from './whereabouts.ts';

/** A pack may last so many times as long as it should before it is worth splitting. */
const PATIENCE = 2;
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
  /** Whether the batch carried entries of the dictionary as well. */
  carriedEntries: boolean;
}

interface Sent {
  pack: ShippablePack;
  log: DictionaryLog;
  batch: EncodedBatch;
  carriedEntries: boolean;
}

interface UnderWay {
  sequence: number;
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
  /** Keys of packs that were split from others and not sent since. */
  readonly #unsentParts = new Set<number>();
  /** Rows are numbered: a hub that hears of a lower one knows that it comes late. */
  #rowNumber: bigint;

  constructor(deps: PackLoopDeps) {
    const { tools, tenant } = deps;
    this.#deps = deps;
    this.#rowNumber = tools.random.id64() >> 1n;
    this.#replies = new Replies(tools, tenant);
    this.#groundwork = new Groundwork(tools, this.#replies);
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

  /** Nothing behind `sequence` will be taken in; what is before it may still be answered for. */
  #end(row: Row, sequence: number): void {
    row.ending.abort();
    for (const one of row.underWay.values()) {
      if (one.sequence > sequence) one.givingUp.abort();
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
    return window.hasRoom(nextSequence, pack);
  }

  async #start(row: Row, pack: ShippablePack, signal: AbortSignal): Promise<void> {
    const { samples, session, parkPack } = this.#deps.tools;
    const end = AbortSignal.any([signal, row.ending.signal]);
    const log = samples.dictionaryOfEpoch(pack.epoch);
    const from = Math.min(log.length, session.reliableOffset(log));
    const missing = await this.#groundwork.dictionary(log, from, end);
    // Others may have changed both while a part of the dictionary was sent.
    if (missing === undefined || end.aborted || this.#next() !== pack) return;
    if (this.#cut(pack)) return;
    const window = session.windows.of(this.#deps.tenant);
    if (window !== undefined && parkPack(this.#deps.tenant, pack.key, window)) return;
    const body = samples.readPack(pack);
    // Damaged, or a failing disk: where it is still there, it comes again.
    if (body === undefined) return await this.#replies.pause(end);
    // No await until it is known to be under way: nobody may find it answered for in between.
    const batch = this.#build(row, pack, log, { body, dictionary: missing.part });
    const { sequence } = batch;
    const carriedEntries = missing.part.entries.length > 0;
    this.#unsentParts.delete(pack.key);
    const givingUp = new AbortController();
    const giveUp = AbortSignal.any([signal, givingUp.signal]);
    row.window.add(sequence, pack);
    const shipping = this.#deliver(row, { batch, pack, log, carriedEntries }, giveUp).finally(
      () => {
        row.underWay.delete(pack);
        row.window.remove(sequence);
        samples.unpinPack(pack);
      },
    );
    row.underWay.set(pack, { sequence, shipping, givingUp });
  }

  /** Whether the pack was split because it is larger than the hub takes or the link should have. */
  #cut(pack: ShippablePack): boolean {
    const { tools, sent } = this.#deps;
    const bytesMax = Math.min(tools.sizes.bytesMax, PATIENCE * tools.link.bodyBytes('backlog'));
    if (pack.bytes <= bytesMax || pack.samples < 2) return false;
    // What may have been sent stays as it is: the hub knows it by its positions.
    const isUnsent = this.#unsentParts.has(pack.key) || !sent.mayKnow(pack);
    return isUnsent && this.#split(pack, bytesMax);
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
    { batch, pack, log, carriedEntries }: Sent,
    signal: AbortSignal,
  ): Promise<void> {
    const { tools, tenant } = this.#deps;
    // Replies of its own: packs that fail together would drive up a backoff that they share.
    const replies = new Replies(tools, tenant);
    const find: Find = (state, sent) => findPack(state, sent, row.window.first ?? sent.sequence);
    const how = { tenant, traffic: 'backlog', find, tools, replies } as const;
    const delivered = await new BatchDelivery(how).deliver(batch, signal);
    if (delivered.kind === 'answered') {
      row.window.answered(pack);
      this.#accept(log, batch, delivered.answer);
    }
    if (delivered.kind === 'misfit') {
      row.misfit ??= { pack, reply: delivered.reply, carriedEntries };
    }
    const goesOn = delivered.kind === 'answered' && !tools.session.isFlapping;
    if (!goesOn) this.#end(row, batch.sequence);
  }

  #accept(log: DictionaryLog, batch: EncodedBatch, answer: Answer): void {
    const { samples, session, stats, clock } = this.#deps.tools;
    this.#replies.succeeded();
    samples.acknowledge(this.#deps.tenant, batch.positions);
    session.advance(log, answer.dictionaryOffset, answer.hub);
    session.windows.hear(this.#deps.tenant, answer);
    recordAnswer(stats, answer.settlement, clock.now());
    countOne(stats.replies, 'answer');
  }

  async #settle({ pack, reply, carriedEntries }: Misfit, signal: AbortSignal): Promise<void> {
    const { tools } = this.#deps;
    if (reply.kind === 'too_large') {
      if (carriedEntries) this.#groundwork.shrink();
      else tools.sizes.refused(pack.bytes);
      const isSplit = this.#split(pack, tools.sizes.bytesMax);
      if (!isSplit && !carriedEntries) {
        tools.log.error(
          'pack too large',
          { samples: pack.samples, bytes: pack.bytes, answer: reply.message },
          'the hub refuses a pack as too large that cannot be split: raise limits.max_batch or ' +
            'limits.max_decoded_batch of the hub; samples are kept here',
        );
      }
    }
    await this.#replies.settle(reply, signal);
    if (reply.kind === 'unreadable_format') this.#recode(pack);
  }

  /** The segment `id` was refused as too large, and has become a pack. */
  splitRefused(id: number): void {
    const { samples, sizes } = this.#deps.tools;
    const pack = samples.packs(this.#deps.tenant).find((one) => one.id === id);
    if (pack !== undefined && pack.bytes > sizes.bytesMax) this.#split(pack, sizes.bytesMax);
    this.wake();
  }

  /** Splits a pack that is not at the hub, and its parts again as long as they are too large. */
  #split({ key }: ShippablePack, bytesMax: number): boolean {
    const { tools, tenant } = this.#deps;
    const before = new Set(tools.samples.packs(tenant).map((pack) => pack.key));
    if (!tools.splitPack(tenant, key, bytesMax)) return false;
    for (;;) {
      const parts = tools.samples.packs(tenant).filter((pack) => !before.has(pack.key));
      const large = parts.find((part) => part.bytes > bytesMax && part.samples > 1);
      if (large === undefined || !tools.splitPack(tenant, large.key, bytesMax)) {
        for (const part of parts) this.#unsentParts.add(part.key);
        return true;
      }
    }
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
