import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import type { DictionaryCopy } from '../../hub/expand/dictionary-copy.ts';
import { expandBatch } from '../../hub/expand/expansion.ts';
import type { RefusedRequest } from '../../hub/refused-request.ts';
import { createDelivery } from '../../hub/write/delivery.ts';
import type { Deliver } from '../../hub/write/lanes.ts';
import type { Post } from '../../hub/write/post.ts';
import { RefusalSearch } from '../../hub/write/refusal-search.ts';
import { ReplicaCover } from '../../hub/write/replica-cover.ts';
import { RequestBodies } from '../../hub/write/request-bodies.ts';
import { SetAside } from '../../hub/write/set-aside.ts';
import type { DestinationKind } from '../../proto/outcome.ts';
import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import type { WriteProtocol } from '../../proto/remote-write/write-encoder.ts';
import type { SampleColumns } from '../../proto/sample-columns.ts';
import { seededRandom } from '../tools/seeded-random.ts';

/** A clock on which every wait is over at once; it remembers them. */
export class InstantClock implements Clock {
  readonly slept: number[] = [];
  #now = 1_700_000_000_000;

  now(): number {
    return this.#now;
  }

  elapsedMs(): number {
    return this.#now;
  }

  async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
    this.#now += ms;
    // A turn of the event loop, so that a loop of retries lets others live.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export interface Rig {
  deliver: Deliver;
  clock: InstantClock;
  codes: string[];
  held: number[];
  /** What the record of refused samples is given. */
  refused: RefusedRequest[];
  /** What the age limits are told of: tenant and reason. */
  learned: string[];
  /** And of what was taken: tenant and newest timestamp. */
  taken: string[];
  lines: { level: string; key: string; fields: Record<string, unknown>; message: string }[];
}

export interface RigOptions {
  seed?: string;
  protocol?: WriteProtocol;
  /** 0: nothing is ever set aside. */
  setAsideAfterMs?: number;
  /** 0: never searched. */
  searchesPerMinute?: number;
  /** The record of refused samples waits for this. */
  keeping?: Promise<void>;
}

/** The delivery under test with everything around it in plain sight. */
export function rig(kind: DestinationKind, post: Post, options: RigOptions = {}): Rig {
  const { seed = 'rig', protocol = 'v1', setAsideAfterMs = 0, keeping } = options;
  const { searchesPerMinute = 6000 } = options;
  const clock = new InstantClock();
  const codes: string[] = [];
  const held: number[] = [];
  const lines: Rig['lines'] = [];
  const log: BoundedLog = {
    warn: (key, fields, message) =>
      lines.push({ level: 'warn', key, fields: { ...fields }, message }),
    error: (key, fields, message) =>
      lines.push({ level: 'error', key, fields: { ...fields }, message }),
  };
  const metrics = {
    request: (code: string) => codes.push(code),
    heldByMisconfiguration: (change: number) => held.push(change),
  };
  const random = seededRandom(seed);
  const refused: RefusedRequest[] = [];
  const learned: string[] = [];
  const taken: string[] = [];
  const deliver = createDelivery('sg', {
    kind,
    post,
    bodies: new RequestBodies(protocol),
    setAside: new SetAside(setAsideAfterMs, clock),
    search: new RefusalSearch(searchesPerMinute, clock),
    replicas: new ReplicaCover(0, clock),
    ages: {
      taken: (tenant, newestMs) => void taken.push(`${tenant} ${newestMs}`),
      refused: (tenant, reason) => void learned.push(`${tenant} ${reason}`),
    },
    refused: {
      async keep(requests) {
        refused.push(...requests);
        await keeping;
      },
    },
    clock,
    random,
    metrics,
    log,
  });
  return { deliver, clock, codes, held, refused, learned, taken, lines };
}

export interface RequestOptions {
  lanes?: number;
  samplesPerRequestMax?: number;
  mayBeRedelivered?: boolean;
}

export function requestsOf(
  copy: DictionaryCopy,
  columns: SampleColumns,
  options: RequestOptions = {},
): OutgoingRequest[] {
  const { lanes = 1, samplesPerRequestMax = 2000, mayBeRedelivered = false } = options;
  const expansion = expandBatch({ tenant: 'a', named: 'a', columns, mayBeRedelivered }, copy, {
    lanes,
    samplesPerRequestMax,
    separateReplicas: true,
  });
  if (expansion.kind !== 'requests') throw new Error(expansion.kind);
  return expansion.requests;
}
