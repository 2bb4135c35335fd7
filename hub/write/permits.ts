import { assert } from '../../base/assert.ts';
import type { Post } from './post.ts';

/** A bounded number of things going on at once; who asks first is served first. */
export class Permits {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    assert(count > 0, 'without permits nothing would ever go on');
    this.#free = count;
  }

  /** Resolves when the caller may go on; to be followed by one release(). */
  async acquire(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

/** A way to the destination that `count` requests may take at one time. */
export function limitedPost(post: Post, count: number): Post {
  const permits = new Permits(count);
  return async (request) => {
    await permits.acquire();
    try {
      return await post(request);
    } finally {
      permits.release();
    }
  };
}
