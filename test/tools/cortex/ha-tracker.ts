import type { CortexLimits } from './limits.ts';
import type { Labels } from './validation.ts';

type Verdict =
  | { kind: 'no ha' }
  | { kind: 'elected' }
  | { kind: 'refused'; status: 202 | 400; message: string };

/** Cortex' HA tracker of one tenant: by cluster the replica that is heard, and until when. */
export class HaTracker {
  readonly #elected = new Map<string, { replica: string; receivedAtMs: number }>();

  /** The first series of a body decides for all of it. */
  check(labels: Labels, limits: CortexLimits, nowMs: number): Verdict {
    const cluster = labels.find(({ name }) => name === limits.haClusterLabel)?.value ?? '';
    const replica = labels.find(({ name }) => name === limits.haReplicaLabel)?.value ?? '';
    if (cluster === '' || replica === '') return { kind: 'no ha' };
    const entry = this.#elected.get(cluster);
    if (entry === undefined) {
      const limit = limits.haMaxClusters;
      if (limit > 0 && this.#elected.size + 1 > limit) {
        const message = `too many HA replicaGroups (limit: ${limit})`;
        return { kind: 'refused', status: 400, message };
      }
    } else {
      const agoMs = nowMs - entry.receivedAtMs;
      if (entry.replica === replica && agoMs < limits.haUpdateTimeoutMs) return { kind: 'elected' };
      if (entry.replica !== replica && agoMs < limits.haFailoverTimeoutMs) {
        const names = `replica=${replica}, elected=${entry.replica}`;
        const message = `replicas did not match, rejecting sample: ${names}`;
        return { kind: 'refused', status: 202, message };
      }
    }
    this.#elected.set(cluster, { replica, receivedAtMs: nowMs });
    return { kind: 'elected' };
  }
}
