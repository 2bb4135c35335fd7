import { PackTable } from '../../agent/buffer/pack-table.ts';
import { Pins } from '../../agent/buffer/pins.ts';
import { SegmentTable } from '../../agent/buffer/segment-table.ts';
import type { SampleLog, ShippableSegment } from '../../agent/ship/contracts.ts';
import type { HubReply } from '../../agent/ship/hub-client.ts';
import { DictionaryLog } from '../../hub/receive/dictionary-log.ts';
import { forgetUndo } from './broken-format.ts';
import { believeStalled } from './broken-link.ts';
import {
  believeRefused,
  evictByOwnClock,
  holdUpTenant,
  joinExemplars,
  refuseByOwnClock,
  skipChecksumOfPositions,
  skipSync,
} from './broken-promises.ts';
import { type Mistake, often, towards } from './mistake.ts';
import { type Parts, shippedParts } from './parts.ts';
import type { EventName, Plan } from './plan.ts';

/** The answer comes half a second before the commit. */
const acknowledgeBeforeCommit: Mistake = {
  parts: {
    groupCommit: (buffer, onStored, clock) => {
      const commits = shippedParts.groupCommit(buffer, onStored, clock);
      return {
        commit: () => commits.commit(),
        async add(append) {
          void clock.sleep(500).then(() => commits.add(append));
          return undefined;
        },
      };
    },
  },
  plan: often('agent crash'),
};

/** Segments are forgotten when they are sent. */
const deleteBeforeAcknowledge: Mistake = {
  parts: {
    sampleLog: (buffer) =>
      logWith(buffer, (tenant, samplesMax, from) => {
        const segments = buffer.read(tenant, samplesMax, from);
        for (const { run, sequence } of segments) {
          const range = { run: BigInt(`0x${run}`), first: sequence, last: sequence };
          buffer.acknowledge(tenant, [range]);
        }
        return segments;
      }),
  },
  plan: often('agent crash', 'hub crash'),
};

/** What is read from disk is believed. */
const skipChecksum: Mistake = {
  install() {
    const { stored, get, damaged } = SegmentTable.prototype;
    SegmentTable.prototype.stored = function* (...range) {
      for (const segment of stored.call(this, ...range)) yield { ...segment, isIntact: true };
    };
    SegmentTable.prototype.get = function (id) {
      const row = get.call(this, id);
      return row && { ...row, isIntact: true };
    };
    SegmentTable.prototype.damaged = function* () {};
    return () => {
      Object.assign(SegmentTable.prototype, { stored, get, damaged });
    };
  },
  plan: often('damage', 'destination outage'),
};

/** Plans in which a backlog soon becomes packs, and these events happen often. */
function oftenPacked(...events: EventName[]): (drawn: Plan) => Plan {
  return (drawn) => ({
    ...often(...events)(drawn),
    order: 'oldest_first',
    packing: { ...drawn.packing, samplesMax: 30, ageMinMs: 500, checkEveryMs: 500 },
  });
}

/** A pack holds what lies before a segment and what lies behind it. */
const packOverGap: Mistake = {
  parts: {
    openBuffer: (...args) => {
      const buffer = shippedParts.openBuffer(...args);
      const packable = buffer.packable.bind(buffer);
      buffer.packable = (...limits) => packable(...limits).filter((_, index) => index !== 1);
      return buffer;
    },
  },
  plan: oftenPacked('link outage'),
};

/** Segments leave for a pack that does not stay. */
const forgetPack: Mistake = {
  install() {
    const { add } = PackTable.prototype;
    PackTable.prototype.add = function (pack) {
      const head = add.call(this, pack);
      this.remove(head.key);
      return head;
    };
    return () => {
      PackTable.prototype.add = add;
    };
  },
  plan: oftenPacked('link outage', 'agent crash'),
};

/** Segments become a pack although a batch carries them at the time. */
const packWhatIsSent: Mistake = {
  install() {
    const { holdsSegment } = Pins.prototype;
    Pins.prototype.holdsSegment = () => false;
    return () => {
      Pins.prototype.holdsSegment = holdsSegment;
    };
  },
  plan: oftenPacked('link outage', 'destination outage'),
};

/** What is sent for the second time goes in another order. */
const resendReordered: Mistake = {
  parts: {
    sampleLog: (buffer) => {
      const sent = new Set<number>();
      return logWith(buffer, (tenant, samplesMax, from) => {
        const segments = buffer.read(tenant, samplesMax, from);
        const isResend = segments.some(({ id }) => sent.has(id));
        for (const { id } of segments) sent.add(id);
        return isResend ? segments.reverse() : segments;
      });
    },
  },
  plan: often('hub crash', 'destination outage'),
};

/** A 400 of the destination is the end of the whole request. */
const dropOn400: Mistake = {
  parts: {
    post: (post) => async (request) => {
      const result = await post(request);
      const isRefused = result.kind === 'answer' && result.status === 400;
      return isRefused ? { ...result, status: 200 } : result;
    },
  },
  plan: (drawn) => {
    const plan = towards('prometheus', drawn);
    const destination = { ...plan.destination, refusedEvery: 10 };
    return { ...plan, order: 'oldest_first', destination };
  },
};

/** Whoever has as many entries is taken to have the same. */
const ignoreHashChain: Mistake = {
  parts: {
    link: (link, buffer) => {
      const believe = (reply: HubReply): HubReply => {
        if (reply.kind !== 'state') return reply;
        const epochs = reply.state.epochs.map((theirs) => {
          const ours = buffer.dictionaries.find(({ epoch }) => epoch === theirs.epoch);
          if (ours === undefined) return theirs;
          const offset = Math.min(theirs.offset, ours.length);
          return { ...theirs, offset, hash: ours.chainHash(offset)! };
        });
        return { ...reply, state: { ...reply.state, epochs } };
      };
      return {
        postBatch: async (...request) => believe(await link.postBatch(...request)),
        askPositions: async (signal) => believe(await link.askPositions(signal)),
        bodyBytes: (traffic) => link.bodyBytes(traffic),
        atOnce: (traffic) => link.atOnce(traffic),
      };
    },
  },
  install() {
    const { take } = DictionaryLog.prototype;
    DictionaryLog.prototype.take = function (offset, _hash, stated) {
      const from = Math.min(offset, this.offset);
      const unknown = stated.slice(this.offset - from);
      const end = this.offset;
      return take.call(this, end, this.hashAt(end), offset > end ? stated : unknown);
    };
    return () => {
      DictionaryLog.prototype.take = take;
    };
  },
  plan: often('restore', 'link outage'),
};

/** A new stream has lanes of its own, while requests of the old one are still under way. */
const writeBeforeSilence: Mistake = {
  parts: {
    tenantWriter: (create) => {
      let writer = create();
      return {
        prepare: (batch, series) => writer.prepare(batch, series),
        cancelQueued() {
          writer = create();
        },
        idle: async () => {},
      };
    },
  },
  plan: (drawn) => {
    const plan = towards('accepting', often('restore', 'destination outage')(drawn));
    return {
      ...plan,
      order: 'oldest_first',
      packing: { ...plan.packing, ageMinMs: Number.MAX_SAFE_INTEGER },
      link: { ...plan.link, late: 0, twice: 0 },
      destination: {
        ...plan.destination,
        faults: { ...plan.destination.faults, busy: 0.6 },
      },
    };
  },
};

export const MISTAKES: ReadonlyMap<string, Mistake> = new Map([
  ['acknowledges before the commit', acknowledgeBeforeCommit],
  ['deletes before the answer', deleteBeforeAcknowledge],
  ['skips the checksum of its rows', skipChecksum],
  ['packs over a gap in the log', packOverGap],
  ['forgets what was packed', forgetPack],
  ['packs what is on its way', packWhatIsSent],
  ['sends again in another order', resendReordered],
  ['drops a request on 400', dropOn400],
  ['ignores the hash chain', ignoreHashChain],
  ['writes a new stream before the old one is silent', writeBeforeSilence],
  ['forgets to undo a decoding that failed', forgetUndo],
  ['refuses samples of the future by its own clock', refuseByOwnClock],
  ['evicts for their age by its own clock', evictByOwnClock],
  ['believes answered positions that nobody wrote', skipChecksumOfPositions],
  ['leaves the sync out', skipSync],
  ['writes an exemplar beside its sample', joinExemplars],
  ['moves the age bound by what was refused', believeRefused],
  ['lets one cluster hold up its tenant', holdUpTenant],
  ['takes a batch that stalls for delivered', believeStalled],
]);

/** The buffer, but for how it is read. */
function logWith(
  buffer: ReturnType<Parts['openBuffer']>,
  read: (tenant: string, samplesMax: number, from: number) => ShippableSegment[],
): SampleLog {
  return new Proxy(buffer, {
    get(target, name) {
      if (name === 'read') return read;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
