import { join } from 'node:path';
import Database from 'better-sqlite3';
import { HubClock } from '../../agent/hub-clock.ts';
import { AgeLimits } from '../../hub/age-limits.ts';
import { isIntact } from '../../hub/store/hub-schema.ts';
import { RequestBodies } from '../../hub/write/request-bodies.ts';
import { type Mistake, often, towards } from './mistake.ts';
import { shippedParts } from './parts.ts';
import { connectionTo } from './power-cut.ts';

/** Samples that are right count as of the future while the clock of the machine is behind. */
export const refuseByOwnClock: Mistake = {
  parts: { aheadMax: (limitMs) => limitMs },
  plan: (drawn) => {
    const plan = often('wrong clock')(drawn);
    return { ...plan, hub: { ...plan.hub, aheadMaxMs: 300_000 } };
  },
};

/** What the hub says of the time is not asked for before samples go for their age. */
export const evictByOwnClock: Mistake = {
  install() {
    const { confirmed } = HubClock.prototype;
    HubClock.prototype.confirmed = function () {
      const aheadMs = this.aheadMs();
      const ownMs = aheadMs === undefined ? this.likelyNow() : this.now()! - aheadMs;
      return { earliestMs: ownMs, latestMs: ownMs };
    };
    return () => {
      HubClock.prototype.confirmed = confirmed;
    };
  },
  plan: (drawn) => {
    const plan = often('wrong clock', 'clock step', 'link outage')(drawn);
    const odd = { ...plan.odd, timestampEvery: 0 };
    return { ...plan, odd, buffer: { ...plan.buffer, ageMaxMs: 120_000 } };
  },
};

/** One flipped bit makes an agent forget what was never written. */
export const skipChecksumOfPositions: Mistake = {
  install() {
    const { prepare } = Database.prototype;
    Database.prototype.prepare = function (this: Database.Database, source: string) {
      return prepare.call(this, source.replaceAll(isIntact('positions'), '1'));
    } as typeof prepare;
    return () => {
      Database.prototype.prepare = prepare;
    };
  },
  plan: often('hub damage', 'destination outage'),
};

/** SQLite tells the agent that a commit is done before it is on the disk. */
export const skipSync: Mistake = {
  parts: {
    openBuffer: (options, tools) => {
      const buffer = shippedParts.openBuffer(options, tools);
      connectionTo(join(options.dataDir, 'buffer.db'))!.pragma('synchronous = OFF');
      return buffer;
    },
  },
  plan: often('agent crash'),
};

/** An exemplar that Cortex refuses takes the sample of its TimeSeries with it. */
export const joinExemplars: Mistake = {
  install() {
    const { posted, kept } = RequestBodies.prototype;
    RequestBodies.prototype.posted = kept;
    return () => {
      RequestBodies.prototype.posted = posted;
    };
  },
  plan: (drawn) => ({
    ...towards('cortex', often()(drawn)),
    odd: { clusters: false, exemplarEvery: 3, timestampEvery: 0 },
    // A search would send the sample once more by itself.
    hub: { ...drawn.hub, searchesPerMinute: 0 },
  }),
};

/** A sample that was refused says how far its tenant has come. */
export const believeRefused: Mistake = {
  install() {
    const { refused } = AgeLimits.prototype;
    AgeLimits.prototype.refused = function (tenant, reason, message) {
      const [, timestamp] = /timestamp too new: (\d+)/.exec(message) ?? [];
      if (timestamp !== undefined) this.taken(tenant, Number(timestamp));
      refused.call(this, tenant, reason, message);
    };
    return () => {
      AgeLimits.prototype.refused = refused;
    };
  },
  plan: (drawn) => {
    const plan = towards('cortex', often('head moved')(drawn));
    const odd = { clusters: false, exemplarEvery: 0, timestampEvery: 5 };
    return { ...plan, odd, hub: { ...plan.hub, aheadMaxMs: 0 } };
  },
};

/** What the destination says of one cluster counts for its tenant. */
export const holdUpTenant: Mistake = {
  parts: {
    post: (post) => async (request) => {
      const result = await post(request);
      const isCluster = result.kind === 'answer' && result.body.includes('too many HA');
      return isCluster ? { ...result, status: 429, body: 'slow down' } : result;
    },
  },
  plan: (drawn) => ({
    ...towards('cortex', often()(drawn)),
    odd: { clusters: true, exemplarEvery: 0, timestampEvery: 0 },
    blockade: { tenant: drawn.tenants[0]!, how: 'clusters' },
  }),
};
