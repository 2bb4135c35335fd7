import { beforeEach, describe, expect, test } from 'vitest';
import type { DictionaryCopy } from '../../hub/expand/dictionary-copy.ts';
import { ReplicaCover } from '../../hub/write/replica-cover.ts';
import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import { WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import { exemplarBytes } from '../proto/objects/columns-fixture.ts';
import { decodeExactly, labelNotation } from '../tools/exact-remote-write.ts';
import { appendSeries, columnsOf, newDictionary } from './series-fixture.ts';
import { InstantClock, requestsOf } from './write-fixture.ts';

const MINUTE_MS = 60_000;
/** Long enough, behind the elected replica and ahead of it. */
const BEHIND = 60_000;
const AHEAD = 300_000;

let clock: InstantClock;
let now: number;
let copy: DictionaryCopy;
let cover: ReplicaCover;

beforeEach(() => {
  clock = new InstantClock();
  now = clock.now();
  copy = newDictionary();
  cover = new ReplicaCover(0, clock);
});

/** A request of a replica with samples so many minutes before now. */
function request(replica: string, ...minutes: number[]): OutgoingRequest {
  const id = appendSeries(copy, 'a', { __name__: 'up', __replica__: replica, cluster: 'k' });
  return requestsOf(
    copy,
    columnsOf(minutes.map((ago) => [id, now - ago * MINUTE_MS] as const)),
  )[0]!;
}

function take(replica: string, ...minutes: number[]): void {
  const taken = request(replica, ...minutes);
  cover.taken(taken, 0, taken.count);
}

const message = (replica: string, elected: string) =>
  `202 replicas did not match, rejecting sample: replica=${replica}, elected=${elected}`;

function judge(turned: OutgoingRequest, heldMs = 0, words = message('b', 'a')) {
  return cover.judge(turned, { from: 0, to: turned.count, heldMs }, words);
}

const NONE = { wait: [], missing: [], early: [] };

describe('samples that the HA tracker has turned away', () => {
  test('are duplicates where the elected replica has written, or is up to date', () => {
    take('a', 40, 35, 30, 25, 20, 15, 10, 5, 4);
    expect(judge(request('b', 41, 33, 12, 4.5, 0))).toEqual(NONE);
  });

  test('wait in a gap, and are missing after that; what is in the same gap is so at once', () => {
    take('a', 60, 30, 0);
    expect(judge(request('b', 60, 45, 30, 29, 0))).toEqual({ ...NONE, wait: [1, 3] });
    expect(judge(request('b', 60, 45, 30, 0), BEHIND - 1)).toEqual({ ...NONE, wait: [1] });
    expect(judge(request('b', 60, 45, 30, 0), BEHIND)).toEqual({ ...NONE, missing: [1] });
    expect(judge(request('b', 59.9, 30.1))).toEqual({ ...NONE, missing: [0, 1] });
    expect(judge(request('b', 29))).toEqual({ ...NONE, wait: [0] });
  });

  test('before the first sample are missing where one is long before it', () => {
    take('a', 10, 5, 0);
    expect(judge(request('b', 14.9), BEHIND)).toEqual(NONE);
    expect(judge(request('b', 15.1), BEHIND)).toEqual({ ...NONE, missing: [0] });
    expect(judge(request('b', 10.1))).toEqual({ ...NONE, missing: [0] });
  });

  test('ahead of one that is far behind wait, and are early where no window is open', () => {
    take('a', 60);
    expect(judge(request('b', 60, 59))).toEqual({ ...NONE, wait: [1] });
    expect(judge(request('b', 60, 59), AHEAD - 1)).toEqual({ ...NONE, wait: [1] });
    expect(judge(request('b', 60, 59), AHEAD)).toEqual({ ...NONE, early: [1] });
    cover = new ReplicaCover(10 * MINUTE_MS, clock);
    take('a', 60);
    expect(judge(request('b', 51, 50), AHEAD)).toEqual({ ...NONE, missing: [0], early: [1] });
  });

  test('wait a little for a first word of the elected one, and not again for a while', () => {
    expect(judge(request('b', 60, 0))).toEqual({ ...NONE, wait: [0, 1] });
    expect(judge(request('b', 60), 10_000)).toEqual(NONE);
    expect(judge(request('b', 60))).toEqual(NONE);
    take('a', 60);
    expect(judge(request('b', 30))).toEqual({ ...NONE, wait: [0] });
  });

  test('are duplicates where the elected one has not been heard here for long', async () => {
    take('a', 60);
    await clock.sleep(16 * MINUTE_MS);
    expect(judge(request('b', 30), 10_000)).toEqual(NONE);
  });

  test('of a replica that was elected before many others find nothing of it', () => {
    for (let n = 0; n <= 16; n++) take(`r${n}`, 60);
    expect(judge(request('b', 60), 0, message('b', 'r1'))).toEqual(NONE);
    expect(judge(request('b', 60), 0, message('b', 'r0'))).toEqual({ ...NONE, wait: [0] });
  });

  test('of a cluster find nothing of it once ten thousand others were written', () => {
    take('a', 60);
    const another = request('a', 60);
    const taken = (cluster: string) =>
      cover.taken({ ...another, replica: { ...another.replica!, cluster } }, 0, 1);
    for (let n = 1; n < 10_000; n++) taken(`c${n}`);
    expect(judge(request('b', 60))).toEqual(NONE);
    taken('one more');
    expect(judge(request('b', 60))).toEqual({ ...NONE, wait: [0] });
  });

  test('wait once more in a gap that sixteen later ones were judged after', () => {
    const gapAgo = (n: number) => 1000 - 40 * n;
    for (let n = 0; n <= 17; n++) take('a', gapAgo(n) + 20);
    for (let n = 0; n < 16; n++) judge(request('b', gapAgo(n)), BEHIND);
    expect(judge(request('b', gapAgo(0)))).toEqual({ ...NONE, missing: [0] });
    judge(request('b', gapAgo(16)), BEHIND);
    expect(judge(request('b', gapAgo(0)))).toEqual({ ...NONE, wait: [0] });
  });

  test.each([
    ['names another replica, as the destination goes by other labels', message('c', 'a')],
    ['says nothing', '202'],
  ])('are duplicates where the answer %s', (_, words) => {
    take('a', 60);
    expect(judge(request('b', 30), 0, words)).toEqual(NONE);
  });

  test('of another cluster or tenant have nothing to do with it', () => {
    const id = appendSeries(copy, 'a', { __name__: 'up', __replica__: 'a', cluster: 'other' });
    const [other] = requestsOf(copy, columnsOf([[id, now - 30 * MINUTE_MS]]));
    cover.taken(other!, 0, 1);
    const elsewhere = { ...request('a', 30), tenant: 'second' };
    cover.taken(elsewhere, 0, 1);
    take('a', 60);
    expect(judge(request('b', 30))).toEqual({ ...NONE, wait: [0] });
  });

  test('keep their exemplars, and lose nothing but the label of the replica', () => {
    take('a', 60, 0);
    const id = appendSeries(copy, 'a', { __name__: 'up', __replica__: 'b', cluster: 'k', z: 'ä' });
    const columns = columnsOf([
      [id, now - 60 * MINUTE_MS],
      [id, now - 30 * MINUTE_MS],
    ]);
    columns.pushObject('exemplar', id, now, exemplarBytes('x'));
    const [turned] = requestsOf(copy, columns);
    const { missing } = judge(turned!, BEHIND);
    expect(missing).toEqual([1, 2]);
    const rest = turned!.replica!.unlabelled(Uint32Array.from(missing));
    expect([rest.count, rest.isExemplar(0), rest.isExemplar(1)]).toEqual([2, false, true]);
    const series = decodeExactly(rest.encode(new WriteRequestEncoder(), 0, 2));
    expect(series.map(({ labels }) => labelNotation(labels))).toEqual(
      series.map(() => '{__name__="up", cluster="k", z="ä"}'),
    );
  });
});
