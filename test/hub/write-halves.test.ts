import { describe, expect, it } from 'vitest';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { exemplarBytes } from '../proto/objects/columns-fixture.ts';
import { decodeWhole2 } from '../tools/whole-remote-write.ts';
import { appendSeries, newDictionary } from './series-fixture.ts';
import { requestsOf, rig } from './write-fixture.ts';

/** What each accepted body holds, e.g. `a+2`: a sample of series a with two exemplars. */
async function written(rows: string, status: number): Promise<string[]> {
  const copy = newDictionary();
  const ids = new Map(
    ['a', 'b'].map((name) => [name, appendSeries(copy, 'a', { __name__: name })]),
  );
  const columns = new SampleColumns();
  for (const [at, name] of [...rows].entries()) {
    const id = ids.get(name.toLowerCase())!;
    if (name === name.toLowerCase()) columns.push(id, at, 0, 0);
    else columns.pushObject('exemplar', id, at, exemplarBytes('x'));
  }
  const bodies: string[] = [];
  const { deliver } = rig(
    'prometheus',
    async ({ body, attempt }) => {
      if (attempt === 0) return { kind: 'answer', status, headers: {}, body: 'too many' };
      const series = decodeWhole2(body);
      bodies.push(
        series
          .map(({ labels, samples, exemplars }) => {
            const name = labels[1]!.repeat(samples.length);
            return exemplars.length === 0 ? name : `${name}+${exemplars.length}`;
          })
          .join(' '),
      );
      return { kind: 'answer', status: 204, headers: { written: 1 }, body: '' };
    },
    { protocol: 'v2' },
  );
  const { signal } = new AbortController();
  const [request] = requestsOf(copy, columns);
  const result = await deliver(request!, { cancel: signal, end: signal });
  expect(result).toMatchObject({ kind: 'settled', settlement: { accepted: rows.length } });
  return bodies;
}

describe('a request that is halved', () => {
  it.each([
    ['before the sample whose exemplars are in the middle', 'baAA', ['b', 'a+2']],
    ['behind the exemplars in the middle', 'aAAb', ['a+2', 'b']],
    ['between two exemplars only where there is but one sample', 'aAAA', ['a+1', '+2']],
    ['between two samples of a series', 'aa', ['a', 'a']],
  ])('is cut %s', async (_, rows, bodies) => {
    expect(await written(rows, 429)).toEqual(bodies);
    expect(await written(rows, 413)).toEqual(bodies);
  });
});
