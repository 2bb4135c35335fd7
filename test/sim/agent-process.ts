import { existsSync, rmSync, statSync } from 'node:fs';
import type { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import type { GroupCommit } from '../../agent/buffer/group-commit.ts';
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
import { readWitness, walPath } from './data-folder.ts';
import type { SentSample } from './ledger.ts';
import { numberedExemplar, numberedHistogram } from './numbered-objects.ts';
import type { Surroundings } from './surroundings.ts';
import type { WallClock } from './virtual-time.ts';

const HOUSEKEEPING_MS = 1000;
const SERIES_MAX = 100_000;
/** A counter of the simulation begins anew so often. */
const START_EVERY_MS = 600_000;

/** A moment between two steps of the buffer; after an append, what that added to the WAL. */
export type Moment =
  | {
      kind:
        | 'before append'
        | 'before acknowledge'
        | 'after acknowledge'
        | 'before pack'
        | 'after pack';
    }
  | {
      kind: 'after append';
      walBytesBefore: number;
      walBytesAfter: number;
      witnessBefore: Buffer | undefined;
    };

export interface AgentProcessDeps {
  surroundings: Surroundings;
  clock: WallClock;
  random: Random;
  /** The link to the hub; `isDead` says whether this process can still speak. */
  connect(isDead: () => boolean): HubLink;
  /** The place to crash between two steps. */
  onMoment(moment: Moment): void;
}

/**
 * One process of the agent, from its start to its crash or stop: series, buffer, encode and ship
 * joined as agent/main.ts and agent/worker.ts do, without threads and HTTP.
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
  readonly #loops: Promise<unknown>;
  readonly #foundSamples: number;
  /** Samples that were lost when the buffer was opened: they were not found. */
  readonly #damagedBefore: number;
  #receivedSamples = 0;

  /** @throws what the buffer throws when it cannot be opened */
  constructor(dataDir: string, deps: AgentProcessDeps) {
    const { surroundings, clock, random } = deps;
    const { plan, parts } = surroundings;
    const { log, lines } = memoryLog();
    this.#deps = deps;
    this.#hubClock = new HubClock(clock);
    this.dataDir = dataDir;
    this.lines = lines;
    this.buffer = parts.openBuffer(
      { dataDir, ...plan.buffer, freeDiskBytesMin: 0 },
      { clock, hubClock: this.#hubClock, random, log },
    );
    this.#watch();
    let id = 0;
    for (const entry of this.buffer.dictionary.entries()) this.#series.restore(entry, id++);
    this.#foundSamples = this.waiting();
    this.#damagedBefore = this.buffer.losses.samples.damaged;
    const outbound = this.#createOutbound(log);
    this.#shipper = outbound.shipper;
    this.#commits = parts.groupCommit(this.buffer, () => this.#shipper.wake(), clock);
    this.#loops = Promise.all([outbound.run(this.#ending.signal), this.#housekeep()]);
    surroundings.spawn(this.#loops);
  }

  #createOutbound(log: Log): Outbound {
    const { surroundings, clock, random, connect } = this.#deps;
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
        clock,
        hubClock: this.#hubClock,
        random,
        log,
      },
    );
  }

  /** Samples in the buffer. */
  waiting(): number {
    return this.buffer.backlog.values().reduce((sum, samples) => sum + samples, 0);
  }

  /** How often another agent was found to have taken over this one's id. */
  get takeovers(): number {
    return this.#shipper.stats.events.get('duplicate agent') ?? 0;
  }

  /** What ingest does with one request; `gone`: the process has ended and nobody answers. */
  async append(samples: readonly SentSample[]): Promise<'stored' | 'unavailable' | 'gone'> {
    const { tenant } = samples[0]!.series;
    const number = this.#series.tenant(tenant);
    const columns = new SampleColumns(samples.length);
    for (const sample of samples) {
      const { labels } = sample.series;
      pushSample(columns, this.#series.resolve(number, labels, 0, labels.length), sample);
    }
    const newEntries = this.#series.takeNewEntries();
    const append = newEntries === undefined ? { tenant, columns } : { tenant, columns, newEntries };
    const unavailable = await this.#commits.add(append);
    if (this.isDead) return 'gone';
    if (unavailable !== undefined) this.#deps.surroundings.note(`agent says ${unavailable}`);
    return unavailable === undefined ? 'stored' : 'unavailable';
  }

  /** Begins a new dictionary, as changeEpochs does once most series are gone. */
  openEpoch(): void {
    this.#series.reset();
    this.#commits.commit();
    this.buffer.openEpoch();
  }

  /** Nothing of this process reaches anybody any more; its files are of no interest to others. */
  crash(): void {
    this.isDead = true;
    this.#deps.surroundings.spawn(this.#bury());
  }

  async #bury(): Promise<void> {
    await this.#end();
    this.buffer.close();
    rmSync(this.dataDir, { recursive: true });
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

  /** What the counters of the process do not account for; undefined when they agree. */
  imbalance(): string | undefined {
    const { settled, resumed } = this.#shipper.stats;
    const { age, bytes } = this.buffer.losses.samples;
    const damaged = this.buffer.losses.samples.damaged - this.#damagedBefore;
    const came = this.#foundSamples + this.#receivedSamples;
    const left = settledCount(settled) + resumed + age + bytes + damaged;
    if (came === left + this.waiting()) return undefined;
    return (
      `found ${this.#foundSamples} + received ${this.#receivedSamples} = ${came}, but answered ` +
      `${settledCount(settled)} + resumed ${resumed} + aged ${age} + evicted ${bytes} + ` +
      `damaged ${damaged} + waiting ${this.waiting()} = ${left + this.waiting()}`
    );
  }

  async #housekeep(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      this.buffer.housekeep();
      await this.#deps.clock.sleep(HOUSEKEEPING_MS, signal);
    }
  }

  /** Tells of every moment between two steps of the buffer, and counts what it has kept. */
  #watch(): void {
    const { buffer, dataDir } = this;
    const { onMoment, surroundings } = this.#deps;
    const append = buffer.append.bind(buffer);
    const acknowledge = buffer.acknowledge.bind(buffer);
    buffer.append = (group) => {
      onMoment({ kind: 'before append' });
      // The dead write nothing, even if their group commit comes in a later turn.
      if (this.isDead) return 'disk_failing';
      const walBytesBefore = walBytes(dataDir);
      const witnessBefore = readWitness(dataDir);
      const unavailable = append(group);
      if (unavailable === undefined) {
        for (const { columns } of group) this.#receivedSamples += columns.count;
      }
      onMoment({
        kind: 'after append',
        walBytesBefore,
        walBytesAfter: walBytes(dataDir),
        witnessBefore,
      });
      return unavailable;
    };
    const storePack = buffer.storePack.bind(buffer);
    buffer.storePack = (segments, pack) => {
      onMoment({ kind: 'before pack' });
      // The dead write nothing.
      const isStored = !this.isDead && storePack(segments, pack);
      if (isStored)
        surroundings.note(`packed ${segments.length} segments, ${pack.samples} samples`);
      onMoment({ kind: 'after pack' });
      return isStored;
    };
    buffer.acknowledge = (tenant, ranges) => {
      onMoment({ kind: 'before acknowledge' });
      const samples = acknowledge(tenant, ranges);
      onMoment({ kind: 'after acknowledge' });
      return samples;
    };
  }
}

function walBytes(dataDir: string): number {
  const path = walPath(dataDir);
  return existsSync(path) ? statSync(path).size : 0;
}

/** Whether a sample of a mixed series is a histogram follows from its number. */
function pushSample(columns: SampleColumns, id: number, sample: SentSample): void {
  const { series, timestamp, low, high } = sample;
  if (series.kind === 'exemplar') {
    columns.pushObject('exemplar', id, timestamp, numberedExemplar(sample));
    return;
  }
  if (series.kind === 'mixed' && low % 3 > 0) {
    columns.pushObject('histogram', id, timestamp, numberedHistogram(sample));
  } else {
    columns.push(id, timestamp, low, high);
  }
  if (series.kind === 'mixed')
    columns.setStart(columns.count - 1, timestamp - (timestamp % START_EVERY_MS));
}
