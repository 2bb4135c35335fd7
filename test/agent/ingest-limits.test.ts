import { describe, expect, it } from 'vitest';
import { formatLabelSet } from '../../proto/label-set.ts';
import type { SeriesGate } from '../../proto/series-lookup.ts';
import { histogram } from '../proto/objects/histogram-fixture.ts';
import { exemplar2, histogram2, request2, type Series2 } from '../proto/request-2-fixture.ts';
import { label, sample } from '../proto/wire-fixture.ts';
import { body, post, post2, startIngest, written } from './ingest-fixture.ts';

const up = label('__name__', 'up');

/** Drops what begins with `go_` by rule 3, and refuses what is called `long`. */
const gate: SeriesGate = (labels) => {
  const text = formatLabelSet(labels);
  if (text.includes('"go_')) return { kind: 'dropped', rule: 3 };
  if (!text.includes('"long"')) return { kind: 'kept', labels };
  return { kind: 'refused', refusal: { reason: 'name_scheme', detail: 'a name of four letters' } };
};

describe('a sample from the future', () => {
  it('is refused beyond the grace period, naming the limit; the rest is stored', async () => {
    const { url, buffer, counts } = await startIngest({ aheadMaxMs: 600_000 });
    const nowMs = Date.now();
    const content = [nowMs - 1, nowMs + 500_000, nowMs + 900_000].flatMap((ms) => sample(ms, 1n));
    const reply = await post(url, body([...up, ...content]));
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('further in the future than limits.creation_grace_period');
    expect(reply.text).toContain('for series {__name__="up"}');
    expect(buffer.samples).toHaveLength(2);
    expect(counts).toMatchObject({ received: 2, 'refused timestamp_in_future': 1 });
  });

  it('is taken, however far, without a limit', async () => {
    const { url, buffer } = await startIngest({ aheadMaxMs: 0 });
    expect((await post(url, body([...up, ...sample(2 ** 53, 1n)]))).status).toBe(204);
    expect(buffer.samples).toEqual([` {__name__="up"} ${2 ** 53} 1`]);
  });
});

describe('a series', () => {
  it('that a limit forbids is 400 naming it and the limit; the rest is stored', async () => {
    const { url, buffer, counts } = await startIngest({}, 1000, {}, gate);
    const long = [...label('__name__', 'long'), ...sample(1, 1n), ...sample(2, 1n)];
    const reply = await post(url, body(long, [...up, ...sample(1, 1n)]));
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('a name of four letters in {__name__="long"}');
    expect(buffer.samples).toEqual([' {__name__="up"} 1 1']);
    expect(counts).toMatchObject({ received: 1, 'refused name_scheme': 2 });
  });

  it('that a filter drops is counted by its rule, and is no trouble for the sender', async () => {
    const { url, buffer, counts } = await startIngest({}, 1000, {}, gate);
    const dropped = [...label('__name__', 'go_info'), ...sample(1, 1n), ...sample(2, 1n)];
    for (let i = 0; i < 2; i++) {
      expect((await post(url, body(dropped, [...up, ...sample(1, 1n)]))).status).toBe(204);
    }
    expect(buffer.entries).toEqual([' {__name__="up"}']);
    expect(counts).toMatchObject({ received: 2, 'filtered 3': 4 });
  });

  it('that a filter drops counts as written in version 2, all that it holds', async () => {
    const { url, counts } = await startIngest({}, 1000, {}, gate);
    const series = (name: string): Series2 => ({
      labels: [['__name__', name]],
      fields: (reference) => [
        ...sample(1, 1n),
        ...histogram2(histogram({ zeroCount: 1, timestamp: 2 })),
        ...exemplar2([reference('trace_id'), reference('x')]),
      ],
    });
    const reply = await post2(url, request2(series('go_info'), series('up')));
    expect([reply.status, written(reply)]).toEqual([204, '2/2/2']);
    expect(counts).toMatchObject({ received: 2, histograms: 1, exemplars: 1, 'filtered 3': 2 });
  });
});
