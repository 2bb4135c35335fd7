import { expect, test } from 'vitest';
import type { Post } from '../../hub/write/post.ts';
import type { DestinationKind } from '../../proto/outcome.ts';
import { exemplarBytes } from '../proto/objects/columns-fixture.ts';
import { decodeExactly } from '../tools/exact-remote-write.ts';
import { appendSeries, columnsOf, newDictionary } from './series-fixture.ts';
import { requestsOf, rig } from './write-fixture.ts';

/** Timestamps of one request; the last is ahead of all clocks. */
const TIMES = [1, 2, 3, 2 ** 50];

function requestOf(timestamps: readonly number[], mayBeRedelivered = false) {
  const copy = newDictionary();
  const id = appendSeries(copy, 'a', { __name__: 'up' });
  const columns = columnsOf(timestamps.map((at) => [id, at] as const));
  columns.pushObject('exemplar', id, 2 ** 52, exemplarBytes('x'));
  return requestsOf(copy, columns, { mayBeRedelivered })[0]!;
}

/** Refuses with `status` and `words` what has a timestamp of the far future. */
function refusing(status: number, words: string): Post {
  return async ({ body }) => {
    const isGuilty = decodeExactly(body).some(({ samples }) =>
      samples.some(({ timestamp }) => timestamp > 1000),
    );
    return {
      kind: 'answer',
      status: isGuilty ? status : 200,
      body: isGuilty ? words : '',
      headers: {},
    };
  };
}

const never = new AbortController().signal;
const TOO_NEW = 'timestamp too new: 1 metric: "up"';

test.each<[string, DestinationKind, Post, readonly number[], boolean, string[], number]>([
  ['accepted', 'generic', refusing(400, ''), [1, 2, 3], false, ['a 3'], 3],
  ['accepted one by one', 'cortex', refusing(400, ''), [1, 2, 3], false, ['a 1', 'a 2', 'a 3'], 3],
  ['found by halving', 'prometheus', refusing(400, TOO_NEW), TIMES, false, ['a 3'], 3],
  ['refused whole', 'prometheus', refusing(400, TOO_NEW), [2 ** 50], false, [], -Infinity],
  ['perhaps stored', 'cortex', refusing(400, 'out of order'), [2 ** 50], true, [], -Infinity],
  ['deduplicated', 'cortex', refusing(202, ''), [2 ** 50], false, [], 1_700_000_000_000],
])('times that count of what is %s', async (_, kind, post, times, again, taken, newestMs) => {
  const tools = rig(kind, post);
  const result = await tools.deliver(requestOf(times, again), { cancel: never, end: never });
  // An exemplar that is taken alone says nothing.
  expect(tools.taken.filter((line) => line !== 'a -Infinity')).toEqual(taken);
  expect(result).toMatchObject({ kind: 'settled', newestMs });
});
