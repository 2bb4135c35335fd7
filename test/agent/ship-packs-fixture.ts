import type { PackingOptions } from '../../agent/packing.ts';
import type { ShipOptions } from '../../agent/ship/contracts.ts';
import type { Kind } from '../../agent/ship/exchange.ts';
import type { HubClient, HubReply } from '../../agent/ship/hub-client.ts';
import { type Batch, decodeBatch } from '../../proto/batch.ts';
import { decompressFrame } from '../../proto/zstd.ts';
import { RecordingDestination } from '../hub/receive-fixture.ts';
import { UnmeasuredLink } from '../tools/unmeasured-link.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  connect,
  FastClock,
  type RunningAgent,
  type RunningHub,
  startAgent,
  startHub,
  waiting,
} from './ship-fixture.ts';

export const PATIENCE_MS = 30_000;

type SampleBatch = Extract<Batch, { lane: 'live' | 'pack' }>;

/** A link that can be cut, on which each lane can be held up, and which keeps what was sent. */
export class LanedLink extends UnmeasuredLink {
  isDown = false;
  readonly batches: Batch[] = [];
  /** Of live batches and packs. */
  readonly frames: Uint8Array[] = [];
  client: HubClient;
  /** What the link carries in some seconds. */
  bytesMax = Number.POSITIVE_INFINITY;
  /** Instead of the hub's reply to a batch of samples, or after it. */
  meddle: (batch: SampleBatch, ask: () => Promise<HubReply>) => Promise<HubReply> = (_, ask) =>
    ask();
  /** Most batches of each kind that were under way at one moment. */
  readonly underWayMax = { live: 0, pack: 0 };
  readonly #underWay = { live: 0, pack: 0 };

  constructor(client: HubClient) {
    super();
    this.client = client;
  }

  get packs() {
    return this.batches.filter((batch) => batch.lane === 'pack');
  }

  get live() {
    return this.batches.filter((batch) => batch.lane === 'live');
  }

  async postBatch(frame: Uint8Array, signal: AbortSignal, kind: Kind): Promise<HubReply> {
    if (this.isDown) return { kind: 'unreachable', message: 'down' };
    const batch = decodeBatch(decompressFrame(frame, 2 ** 26));
    this.batches.push(batch);
    const post = () => this.client.postBatch(frame, signal, kind);
    if (batch.lane !== 'live' && batch.lane !== 'pack') return await post();
    this.frames.push(frame);
    const { lane } = batch;
    this.#underWay[lane]++;
    this.underWayMax[lane] = Math.max(this.underWayMax[lane], this.#underWay[lane]);
    const given = Promise.withResolvers<HubReply>();
    signal.addEventListener('abort', () => given.resolve(unreachable), { once: true });
    const reply = await Promise.race([this.meddle(batch, post), given.promise]);
    this.#underWay[lane]--;
    return reply;
  }

  async askPositions(signal: AbortSignal): Promise<HubReply> {
    if (this.isDown) return { kind: 'unreachable', message: 'down' };
    return await this.client.askPositions(signal);
  }

  override bodyBytes(): number {
    return this.bytesMax;
  }

  /** Whatever the rate that a slow machine makes of a link. */
  override atOnce(): number {
    return 4;
  }
}

export const unreachable: HubReply = { kind: 'unreachable', message: 'answer lost' };

/** Two segments of 50 samples make a pack. */
const PACKING: Partial<PackingOptions> = { samplesMax: 100, ageMinMs: 0, checkEveryMs: 200 };
const SEGMENT_SAMPLES = 50;

type AgentOptions = Partial<ShipOptions> & { packing?: Partial<PackingOptions> };
type HubLimits = Parameters<typeof startHub>[2];

/** An agent that packs, a link that can be cut, and a hub in front of a destination. */
export class PackRig {
  readonly workspace = new Workspace('ship-packs');
  readonly clock = new FastClock();
  readonly destination = new RecordingDestination();
  hub!: RunningHub;
  link!: LanedLink;
  agent!: RunningAgent;
  /** Samples so far; each has its number for a timestamp. */
  appended = 0;

  /** With a hub; the agent is started by the test. */
  static async open(): Promise<PackRig> {
    const rig = new PackRig();
    rig.hub = await rig.#openHub();
    rig.link = new LanedLink(connect(rig.hub.url, rig.clock));
    return rig;
  }

  async close(): Promise<void> {
    this.destination.release();
    await this.agent.end();
    await this.link.client.close();
    await this.hub.end();
    await this.workspace.close();
  }

  start(options: AgentOptions = {}): void {
    const packing = { ...PACKING, ...options.packing };
    const folder = this.workspace.subfolder('agent');
    const seed = `agent ${this.appended}`;
    this.agent = startAgent(folder, this.link, this.clock, seed, { ...options, packing });
  }

  /** The next one has not heard of the hub before the link is up, and so takes no batch. */
  async restartAgent(options: AgentOptions = {}): Promise<void> {
    this.link.isDown = true;
    await this.agent.end();
    this.start(options);
  }

  async restartHub(limits: HubLimits = {}): Promise<void> {
    await this.hub.end();
    await this.link.client.close();
    this.hub = await this.#openHub(limits);
    this.link.client = connect(this.hub.url, this.clock);
  }

  /** On a clock on which packs wait for their turn as long as requests take to pass each other. */
  #openHub(limits: HubLimits = {}): Promise<RunningHub> {
    const { post } = this.destination;
    return startHub(this.workspace.subfolder('hub'), post, limits, 'hub', this.clock);
  }

  /** Appends one segment, the next samples of `series`; the values do not compress. */
  append(samples = SEGMENT_SAMPLES, series = 'up'): void {
    const rows = Array.from({ length: samples }, () => {
      const number = ++this.appended;
      return [series, number, Math.imul(number, 0x9e3779b1) >>> 0] as const;
    });
    this.agent.append('', rows);
  }

  get packCount(): number {
    return this.agent.buffer.packs('').length;
  }

  /** A backlog of `count` packs and the segment behind them, gathered while the link was down. */
  async gather(count: number, segmentSamples = SEGMENT_SAMPLES): Promise<void> {
    this.link.isDown = true;
    for (let segment = 0; segment < 2 * count + 1; segment++) this.append(segmentSamples);
    await until('the backlog to be packed', PATIENCE_MS, () => this.packCount === count);
  }

  delivered(): Promise<void> {
    return until('the backlog to be answered for', PATIENCE_MS, () => waiting(this.agent) === 0);
  }

  /** Timestamps in the order in which the destination has stored them. */
  timestamps(): number[] {
    return this.destination.stored.map((sample) => Number(sample.split('@')[1]));
  }

  /** 1, 2, 3, … up to the last sample that was appended. */
  all(): number[] {
    return Array.from({ length: this.appended }, (_, index) => index + 1);
  }
}
