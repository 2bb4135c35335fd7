import { rmSync } from 'node:fs';
import type { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import type { BufferTools } from '../../agent/buffer/buffer-tools.ts';
import { isDamage } from '../../agent/buffer/damage.ts';
import type { GroupCommit } from '../../agent/buffer/group-commit.ts';
import { houseKeeping } from '../../agent/house-keeping.ts';
import { HubClock } from '../../agent/hub-clock.ts';
import { Outbound } from '../../agent/outbound.ts';
import { SeriesTable } from '../../agent/series/series-table.ts';
import type { HubLink } from '../../agent/ship/hub-client.ts';
import type { Shipper } from '../../agent/ship/shipper.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { settledCount } from '../../proto/settlement.ts';
import { memoryLog } from '../tools/memory-log.ts';
import type { SentSample } from './ledger.ts';
import { type Moment, watchMoments } from './moments.ts';
import { pushSample } from './numbered-objects.ts';
import type { Surroundings } from './surroundings.ts';
import type { WallClock } from './virtual-time.ts';

const SERIES_MAX = 100_000;
/** limits.creation_grace_period. */
const AHEAD_MAX_MS = 600_000;

export interface AgentProcessDeps {
  surroundings: Surroundings;
  clock: WallClock;
  random: Random;
  /** The life before in the same process, whose files were damaged. */
  before: AgentProcess | undefined;
  /** The link to the hub; `isDead` says whether this process can still speak. */
  connect(isDead: () => boolean): HubLink;
  /** The place to crash between two steps. */
  onMoment(moment: Moment): void;
  /** The files of the buffer turned out to be damaged; nothing runs on it any more. */
  onDamaged(process: AgentProcess): void;
}

/** What became of one request; `gone`: the process has ended and nobody answers. */
export type AppendResult =
  | { kind: 'stored'; samples: readonly SentSample[]; refused: readonly SentSample[] }
  | { kind: 'unavailable' | 'gone' };

/**
 * One life of an agent, from its start to its crash, its stop, or damage to its files: series,
 * buffer, encode and ship joined as agent/main.ts and agent/worker.ts do, without threads and HTTP.
 */
export class AgentProcess {
  readonly dataDir: string;
  readonly buffer: SampleBuffer;
  readonly lines: Record<string, unknown>[];
  isDead = false;
  readonly #deps: AgentProcessDeps;
  readonly #hubClock: HubClock;
  readonly #series = new SeriesTable({ seriesMax: SERIES_MAX });
  readonly #shipper: Shipper;
  readonly #commits: Pick<GroupCommit, 'add' | 'commit'>;
  readonly #ending = new AbortController();
  readonly #loops: Promise<void>;
  /** Samples that the process has found, and those that were lost before it looked. */
  readonly #found: { samples: number; lost: number };
  /** Samples that the process has stored. */
  #receivedSamples: number;

  /** @throws what the buffer throws when it cannot be opened */
  constructor(dataDir: string, deps: AgentProcessDeps) {
    const { surroundings, clock, random, before, onMoment } = deps;
    const { plan, parts } = surroundings;
    const { log, lines } = memoryLog(() => ({ elapsedMs: surroundings.time.elapsedMs }));
    this.#deps = deps;
    this.#hubClock = before === undefined ? new HubClock(clock) : before.#hubClock;
    this.dataDir = dataDir;
    this.lines = lines;
    this.#receivedSamples = before === undefined ? 0 : before.#receivedSamples;
    this.buffer = parts.openBuffer(
      { dataDir, ...plan.buffer, parkedBytesMax: plan.buffer.bytesMax / 4, freeDiskBytesMin: 0 },
      {
        clock,
        hubClock: this.#hubClock,
        random,
        log,
        ...(before === undefined ? {} : inherited(before)),
      },
    );
    watchMoments(this.buffer, {
      dataDir,
      isDead: () => this.isDead,
      onMoment,
      onStored: (samples) => {
        this.#receivedSamples += samples;
      },
      onPacked: (segments, samples) =>
        surroundings.note(`packed ${segments} segments, ${samples} samples`),
      onThrown: (error) => this.#endsByItself(error),
    });
    let id = 0;
    for (const entry of this.buffer.dictionary.entries()) this.#series.restore(entry, id++);
    this.#found =
      before === undefined ? { samples: this.waiting(), lost: this.#lost } : before.#found;
    const outbound = this.#createOutbound(log);
    this.#shipper = outbound.shipper;
    this.#commits = parts.groupCommit(this.buffer, () => this.#shipper.wake(), clock);
    this.#loops = this.#live(outbound);
    surroundings.spawn(this.#loops);
  }

  #createOutbound(log: Log): Outbound {
    const { surroundings, clock, random, before, connect } = this.#deps;
    const { plan, parts } = surroundings;
    const { buffer } = this;
    const link = parts.link(
      connect(() => this.isDead),
      buffer,
    );
    const ship = { ...plan.batch, order: plan.order };
    return new Outbound(
      { ship, packing: plan.packing },
      {
        buffer,
        samples: parts.sampleLog(buffer),
        link,
        ...(before === undefined ? {} : { stats: before.#shipper.stats }),
        clock,
        hubClock: this.#hubClock,
        random,
        log,
      },
    );
  }

  /** As runLife of agent/worker.ts. */
  async #live(outbound: Outbound): Promise<void> {
    const { signal } = this.#ending;
    const { clock, onDamaged } = this.#deps;
    const loops = [
      outbound.run(signal),
      houseKeeping(
        {
          buffer: this.buffer,
          pacer: { housekeep: () => {} },
          clock,
        },
        signal,
      ),
    ];
    let isDamaged = false;
    try {
      await Promise.all(loops);
    } catch (error) {
      if (!isDamage(error)) throw error;
      isDamaged = true;
    } finally {
      this.#ending.abort();
      await Promise.allSettled(loops);
    }
    if (!isDamaged || this.isDead) return;
    this.#commits.commit();
    onDamaged(this);
  }

  /** Samples in the buffer. */
  waiting(): number {
    return this.buffer.backlog.values().reduce((sum, samples) => sum + samples, 0);
  }

  /** Samples that are kept because the destination would refuse them. */
  get parked(): number {
    return this.buffer.parkedSamples;
  }

  /** How often another agent was found to have taken over this one's id. */
  get takeovers(): number {
    return this.#shipper.stats.events.get('duplicate agent') ?? 0;
  }

  /** What ingest does with one request. */
  async append(samples: readonly SentSample[]): Promise<AppendResult> {
    const { clock, surroundings } = this.#deps;
    const { plan, parts } = surroundings;
    const limitMs = plan.hub.aheadMaxMs === 0 ? 0 : AHEAD_MAX_MS;
    const aheadMs = parts.aheadMax(limitMs, this.#hubClock);
    const newestMs = aheadMs === 0 ? Number.POSITIVE_INFINITY : clock.now() + aheadMs;
    const refused = samples.filter(({ timestamp }) => timestamp > newestMs);
    const good = samples.filter(({ timestamp }) => timestamp <= newestMs);
    if (good.length === 0) return { kind: 'stored', samples: good, refused };
    const { tenant } = samples[0]!.series;
    const number = this.#series.tenant(tenant);
    const columns = new SampleColumns(good.length);
    for (const sample of good) {
      const { labels } = sample.series;
      pushSample(columns, this.#series.resolve(number, labels, 0, labels.length), sample);
    }
    const newEntries = this.#series.takeNewEntries();
    const append = newEntries === undefined ? { tenant, columns } : { tenant, columns, newEntries };
    const unavailable = await this.#commits.add(append);
    if (this.isDead) return { kind: 'gone' };
    if (unavailable === undefined) return { kind: 'stored', samples: good, refused };
    surroundings.note(`agent says ${unavailable}`);
    return { kind: 'unavailable' };
  }

  /** Begins a new dictionary, as changeEpochs does once most series are gone. */
  openEpoch(): void {
    this.#series.reset();
    this.#commits.commit();
    try {
      this.buffer.openEpoch();
    } catch (error) {
      this.#endsByItself(error);
    }
  }

  /** The worker has no place where it would catch this. */
  #endsByItself(error: unknown): void {
    this.#deps.surroundings.violation(`the agent ends by itself: ${error}`);
  }

  /** Nothing of this process reaches anybody any more; its files are of no interest to others. */
  crash(): void {
    this.isDead = true;
    this.#deps.surroundings.spawn(this.#bury());
  }

  async #bury(): Promise<void> {
    await this.#end();
    this.buffer.close();
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  /** Ends in good order. */
  async stop(): Promise<void> {
    await this.#end();
    this.isDead = true;
    this.buffer.housekeep();
    this.buffer.close();
  }

  async #end(): Promise<void> {
    this.#ending.abort();
    await this.#loops;
  }

  /** Samples that were found damaged or gone; those before the process began as well. */
  get #lost(): number {
    const { damaged, vanished } = this.buffer.losses.samples;
    return damaged + vanished;
  }

  /** What the counters of the process do not account for; undefined when they agree. */
  imbalance(): string | undefined {
    const { losses, unforgotten } = this.buffer;
    // Answered for and still there; or gone without a row that would say how many they were.
    if (unforgotten.length > 0 || losses.vanishedSegments > 0) return undefined;
    const { settled, resumed } = this.#shipper.stats;
    const { age, bytes, parked } = losses.samples;
    const lost = this.#lost - this.#found.lost;
    const came = this.#found.samples + this.#receivedSamples;
    const left = settledCount(settled) + resumed + age + bytes + parked + lost;
    if (came === left + this.waiting()) return undefined;
    return (
      `found ${this.#found.samples} + received ${this.#receivedSamples} = ${came}, but answered ` +
      `${settledCount(settled)} + resumed ${resumed} + aged ${age} + evicted ${bytes} and ${parked} + ` +
      `lost ${lost} + waiting ${this.waiting()} = ${left + this.waiting()}`
    );
  }
}

/** What a life hands on to the next one in the same process. */
function inherited({ buffer }: AgentProcess): Pick<BufferTools, 'losses' | 'unforgotten'> {
  return { losses: buffer.losses, unforgotten: buffer.unforgotten };
}
