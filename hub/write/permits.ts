import { assert } from '../../base/assert.ts';
import type { Post } from './post.ts';

export interface PermitLimits {
  /** Requests at one time. */
  all: number;
  /** And of one tenant. */
  perTenant: number;
}

/** Of the requests at one time: a tenant that the destination does not answer must leave some. */
const TENANT_SHARE = 0.75;

/** The limits for `all` requests at one time; only of a single one nothing can be left. */
export function permitLimits(all: number): PermitLimits {
  return { all, perTenant: Math.max(1, Math.floor(all * TENANT_SHARE)) };
}

/**
 * A bounded number of requests at once. Of those that wait, the next is of the tenant with the fewest
 * under way, so that a tenant whose requests hang does not hold up others; within a tenant, who asks
 * first is served first.
 */
class Permits {
  readonly #limits: PermitLimits;
  readonly #waiting: { tenant: string; go: () => void }[] = [];
  /** By tenant; none is 0. */
  readonly #held = new Map<string, number>();
  #free: number;

  constructor(limits: PermitLimits) {
    assert(limits.all > 0 && limits.perTenant > 0, 'without permits nothing would ever go on');
    this.#limits = limits;
    this.#free = limits.all;
  }

  /** Resolves when the caller may go on; to be followed by one release(). */
  async acquire(tenant: string): Promise<void> {
    await new Promise<void>((go) => {
      this.#waiting.push({ tenant, go });
      this.#next();
    });
  }

  release(tenant: string): void {
    this.#free++;
    const held = this.#heldBy(tenant) - 1;
    if (held === 0) this.#held.delete(tenant);
    else this.#held.set(tenant, held);
    this.#next();
  }

  #next(): void {
    if (this.#free === 0) return;
    let best = -1;
    let fewest = this.#limits.perTenant;
    this.#waiting.forEach(({ tenant }, index) => {
      const held = this.#heldBy(tenant);
      if (held < fewest) [best, fewest] = [index, held];
    });
    if (best < 0) return;
    const [{ tenant, go }] = this.#waiting.splice(best, 1) as [{ tenant: string; go: () => void }];
    this.#free--;
    this.#held.set(tenant, fewest + 1);
    go();
  }

  #heldBy(tenant: string): number {
    return this.#held.get(tenant) ?? 0;
  }
}

/** A way to the destination that a limited number of requests may take at one time. */
export function limitedPost(post: Post, limits: PermitLimits): Post {
  const permits = new Permits(limits);
  return async (request) => {
    const { tenant } = request;
    await permits.acquire(tenant);
    try {
      return await post(request);
    } finally {
      permits.release(tenant);
    }
  };
}
