import { describe, expect, it } from 'vitest';
import type { DeliveryResult } from '../../hub/write/lanes.ts';
import type { Post, PostRequest, PostResult } from '../../hub/write/post.ts';
import type { DestinationKind } from '../../proto/outcome.ts';
import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import { emptySettlement, type RefusalReason, type Settlement } from '../../proto/settlement.ts';
import { decodeExactly } from '../tools/exact-remote-write.ts';
import { appendSeries, columnsOf, newDictionary } from './series-fixture.ts';
import { requestsOf, rig } from './write-fixture.ts';

/** One request of `count` samples of as many series, timestamps counting from 0. */
function requestOf(count: number, mayBeRedelivered = false): OutgoingRequest {
  const copy = newDictionary();
  const series = (at: number) => appendSeries(copy, 'a', { __name__: `s${at}` });
  const columns = columnsOf(Array.from({ length: count }, (_, at) => [series(at), at] as const));
  return requestsOf(copy, columns, { mayBeRedelivered })[0]!;
}

function answer(status: number, body = '', retryAfter?: string): PostResult {
  return { kind: 'answer', status, body, headers: retryAfter === undefined ? {} : { retryAfter } };
}

const TIMED_OUT: PostResult = {
  kind: 'failed',
  message: 'no answer',
  timedOut: true,
  mayHaveArrived: true,
};
const NOT_CONNECTED: PostResult = {
  kind: 'failed',
  message: 'refused',
  timedOut: false,
  mayHaveArrived: false,
};

/** Timestamps of the samples in a posted body. */
function timestampsOf({ body }: PostRequest): number[] {
  return decodeExactly(body).flatMap(({ samples }) => samples.map(({ timestamp }) => timestamp));
}

/** Never searches: see write-cortex.test.ts for that. */
const NO_SEARCH = { searchesPerMinute: 0 };

/** Delivers to a destination that answers with `results` in turn, then with 200. */
async function deliver(
  kind: DestinationKind,
  request: OutgoingRequest,
  ...results: readonly PostResult[]
) {
  const sent: { timestamps: number[]; attempt: number }[] = [];
  const post: Post = async (posted) => {
    sent.push({ timestamps: timestampsOf(posted), attempt: posted.attempt });
    return results[sent.length - 1] ?? answer(200);
  };
  const tools = rig(kind, post, NO_SEARCH);
  const result = await tools.deliver(request, signals());
  return { ...tools, sent, result };
}

function signals(cancel = new AbortController(), end = new AbortController()) {
  return { cancel: cancel.signal, end: end.signal };
}

function settled(counts: Partial<Settlement>): DeliveryResult {
  const settlement = { ...emptySettlement(), ...counts };
  return { kind: 'settled', settlement, newestMs: expect.any(Number) };
}

function refused(reason: RefusalReason, count = 1): Map<RefusalReason, number> {
  return new Map([[reason, count]]);
}

const OUT_OF_ORDER = answer(400, 'user=t: err: out of order sample. timestamp=1');

describe('the delivery of a request', () => {
  it('is accepted with a 2xx', async () => {
    const { result, sent, codes } = await deliver('cortex', requestOf(3), answer(204));
    expect(result).toEqual(settled({ accepted: 3 }));
    expect(sent).toEqual([{ timestamps: [0, 1, 2], attempt: 0 }]);
    expect(codes).toEqual(['204']);
  });

  it('is counted as deduplicated with a 202 of Cortex', async () => {
    const { result } = await deliver('cortex', requestOf(3), answer(202, 'replicas did not match'));
    expect(result).toEqual(settled({ deduplicated: 3 }));
  });

  it('is tried again after faults, with the same samples and a counted attempt', async () => {
    const faults = [answer(503), TIMED_OUT, NOT_CONNECTED, answer(408), answer(599)];
    const { result, sent, codes, clock } = await deliver('cortex', requestOf(2), ...faults);
    expect(result).toEqual(settled({ accepted: 2 }));
    expect(sent.map(({ attempt }) => attempt)).toEqual([0, 1, 2, 3, 4, 5]);
    for (const { timestamps } of sent) expect(timestamps).toEqual([0, 1]);
    expect(codes).toEqual(['503', 'timeout', 'network', '408', '599', '200']);
    expect(clock.slept).toHaveLength(5);
  });

  it('waits at least as long as Retry-After says', async () => {
    const { clock } = await deliver('cortex', requestOf(1), answer(503, '', '7'));
    expect(clock.slept[0]).toBeGreaterThanOrEqual(7000);
    expect(clock.slept[0]).toBeLessThan(10_000);
  });

  it('is tried for ever, never more than 30 s apart', async () => {
    const faults = Array.from({ length: 200 }, () => answer(500));
    const { result, clock } = await deliver('cortex', requestOf(1), ...faults);
    expect(result).toEqual(settled({ accepted: 1 }));
    expect(Math.max(...clock.slept)).toBeLessThanOrEqual(30_000);
    expect(Math.max(...clock.slept)).toBeGreaterThan(20_000);
  });

  it('sends half after a 429, earlier half first, until single samples just wait', async () => {
    const { result, sent } = await deliver(
      'cortex',
      requestOf(4),
      answer(429),
      answer(429),
      answer(429),
    );
    expect(result).toEqual(settled({ accepted: 4 }));
    expect(sent.map(({ timestamps }) => timestamps)).toEqual([
      [0, 1, 2, 3],
      [0, 1],
      [0],
      [0],
      [1],
      [2, 3],
    ]);
    expect(sent.map(({ attempt }) => attempt)).toEqual([0, 1, 2, 3, 2, 1]);
  });

  it('sends half after a 413 at once; a single sample is refused as too large', async () => {
    const { result, sent, clock } = await deliver(
      'cortex',
      requestOf(3),
      answer(413),
      answer(400, 'received message larger than max (9 vs 8)'),
      answer(413),
    );
    expect(sent.map(({ timestamps }) => timestamps)).toEqual([[0, 1, 2], [0, 1], [0], [1], [2]]);
    expect(result).toEqual(settled({ accepted: 2, refused: refused('too_large') }));
    expect(clock.slept).toEqual([]);
  });

  it('is not sent again after a partial refusal without a budget: the rest is unknown', async () => {
    const { result, sent, lines } = await deliver('cortex', requestOf(5), OUT_OF_ORDER);
    expect(result).toEqual(settled({ unknown: 4, refused: refused('out_of_order') }));
    expect(sent).toHaveLength(1);
    expect(lines).toMatchObject([
      { level: 'warn', key: 'refused out_of_order', fields: { tenant: 'a', unknown: 4 } },
    ]);
  });

  for (const [name, fault] of [
    ['a timeout', TIMED_OUT],
    ['a 5xx', answer(502)],
  ] as const) {
    it(`takes out of order after ${name} for the echo of what was stored`, async () => {
      const { result } = await deliver('cortex', requestOf(5), fault, OUT_OF_ORDER);
      expect(result).toEqual(settled({ redelivered: 1, unknown: 4 }));
    });
  }

  it('takes it for that in a batch that may be redelivered', async () => {
    const { result } = await deliver('cortex', requestOf(5, true), OUT_OF_ORDER);
    expect(result).toEqual(settled({ redelivered: 1, unknown: 4 }));
  });

  it('does not when no earlier attempt can have arrived', async () => {
    const { result } = await deliver(
      'cortex',
      requestOf(5),
      NOT_CONNECTED,
      answer(429),
      OUT_OF_ORDER,
    );
    expect(result).toEqual(settled({ accepted: 2, unknown: 2, refused: refused('out_of_order') }));
  });

  it('does not take any other refusal for that', async () => {
    const tooNew = answer(400, 'timestamp too new: 1 metric: "x"');
    const { result } = await deliver('cortex', requestOf(5, true), tooNew);
    expect(result).toEqual(settled({ unknown: 4, refused: refused('too_new') }));
  });

  it('lets halves remember that the whole may have been stored', async () => {
    const { result } = await deliver(
      'cortex',
      requestOf(4),
      TIMED_OUT,
      answer(413),
      OUT_OF_ORDER,
      OUT_OF_ORDER,
    );
    expect(result).toEqual(settled({ redelivered: 2, unknown: 2 }));
  });

  it('keeps everything while the destination is misconfigured, slowly and loudly', async () => {
    const { result, clock, held, lines, codes } = await deliver(
      'cortex',
      requestOf(2),
      answer(401, 'no org id'),
      answer(404),
      answer(415),
      answer(403),
    );
    expect(result).toEqual(settled({ accepted: 2 }));
    expect(codes).toEqual(['401', '404', '415', '403', '200']);
    expect(held).toEqual([1, -1]);
    for (const waitMs of clock.slept) {
      expect(waitMs).toBeGreaterThanOrEqual(30_000);
      expect(waitMs).toBeLessThanOrEqual(60_000);
    }
    expect(lines.map(({ level }) => level)).toEqual(['error', 'error', 'error', 'error']);
    expect(lines[0]?.fields).toMatchObject({ answer: '401 no org id' });
    for (const { fields } of lines) expect(String(fields['check'])).toMatch(/destination/);
  });

  it('is cancelled between two attempts, and holds no gauge afterwards', async () => {
    const cancel = new AbortController();
    const tools = rig('cortex', async () => {
      cancel.abort();
      return answer(403);
    });
    expect(await tools.deliver(requestOf(2), signals(cancel))).toEqual({ kind: 'cancelled' });
    expect(tools.codes).toEqual(['403']);
    expect(tools.held).toEqual([1, -1]);
  });

  it('is settled when the answer to its last attempt comes after a cancellation', async () => {
    const cancel = new AbortController();
    const tools = rig('cortex', async () => {
      cancel.abort();
      return answer(200);
    });
    expect(await tools.deliver(requestOf(2), signals(cancel))).toEqual(settled({ accepted: 2 }));
  });
});

describe('bisection at a destination that stores nothing of a refused request', () => {
  /** Refuses bodies with a guilty timestamp as a whole. */
  async function bisect(count: number, guilty: ReadonlySet<number>, mayBeRedelivered = false) {
    const stored: number[] = [];
    let posts = 0;
    const destination: Post = async (posted) => {
      posts++;
      const timestamps = timestampsOf(posted);
      if (timestamps.some((at) => guilty.has(at))) return answer(400, 'out of order sample\n');
      stored.push(...timestamps);
      return answer(204);
    };
    // What is stored by it needs no budget.
    const tools = rig('prometheus', destination, NO_SEARCH);
    const result = await tools.deliver(requestOf(count, mayBeRedelivered), signals());
    return { result, stored, posts };
  }

  it('refuses exactly the guilty samples and stores all others in order', async () => {
    for (const guilty of [[0], [999], [500], [3, 4, 5], [0, 999], [1, 100, 101, 640]]) {
      const { result, stored, posts } = await bisect(1000, new Set(guilty));
      const innocent = Array.from({ length: 1000 }, (_, at) => at).filter(
        (at) => !guilty.includes(at),
      );
      expect(stored).toEqual(innocent);
      const refusals = refused('out_of_order', guilty.length);
      expect(result).toEqual(settled({ accepted: innocent.length, refused: refusals }));
      expect(posts).toBeLessThanOrEqual(1 + guilty.length * 2 * 10);
    }
  });

  it('counts them as redelivered when they may have been stored before', async () => {
    const { result, stored } = await bisect(100, new Set([7, 8]), true);
    expect(stored).toHaveLength(98);
    expect(result).toEqual(settled({ accepted: 98, redelivered: 2 }));
  });

  it('never drops a body whole on a status that nobody foresaw', async () => {
    const { result, sent } = await deliver('cortex', requestOf(2), answer(418, 'teapot'));
    expect(sent.map(({ timestamps }) => timestamps)).toEqual([[0, 1], [0], [1]]);
    expect(result).toEqual(settled({ accepted: 2 }));
  });
});
