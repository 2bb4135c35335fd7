import type { RefusedRequest } from '../../hub/refused-request.ts';
import { STORED_BEFORE } from '../../proto/outcome.ts';
import type { RefusalReason } from '../../proto/settlement.ts';
import { decodeWithObjects, labelNotation } from '../tools/exact-remote-write.ts';
import { sampleKey } from './ledger.ts';
import { asSamples } from './numbered-objects.ts';

const BEHIND: ReadonlySet<RefusalReason> = new Set([...STORED_BEFORE, 'out_of_bounds', 'too_old']);

/** What hubs say to have been refused, sample by sample. */
export class RefusedSamples {
  /** Each of these is refused. */
  readonly certain = new Set<string>();
  /** Refused as being behind something newer: an earlier attempt may have stored it in time. */
  readonly behind = new Set<string>();
  /** Some of these are, and the hub does not know which. */
  readonly unknown = new Set<string>();

  add(requests: readonly RefusedRequest[]): void {
    for (const { tenant, reason, unknown, body } of requests) {
      const certain = BEHIND.has(reason) ? this.behind : this.certain;
      const into = unknown === 0 ? certain : this.unknown;
      for (const { labels, samples } of asSamples(decodeWithObjects(body))) {
        const stored = labels.filter(({ name }) => name !== '__replica__');
        for (const { timestamp } of samples) {
          into.add(sampleKey(tenant, labelNotation(stored), timestamp));
        }
      }
    }
  }

  has(key: string): boolean {
    return this.certain.has(key) || this.behind.has(key) || this.unknown.has(key);
  }
}
