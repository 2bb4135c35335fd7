import { describe, expect, it } from 'vitest';
import { outgoingAgain } from '../../hub/refused/outgoing-again.ts';
import type { KeptRequest } from '../../hub/refused-request.ts';
import { RequestBodies } from '../../hub/write/request-bodies.ts';
import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { exemplarBytes, histogramBytes } from '../proto/objects/columns-fixture.ts';
import { decodeWhole1, decodeWhole2 } from '../tools/whole-remote-write.ts';
import { appendSeries, newDictionary } from './series-fixture.ts';
import { requestsOf } from './write-fixture.ts';

const KEPT: KeptRequest = {
  ...{ id: 1, agent: 'a', tenant: 'a', reason: 'other', message: '', refused: 2, unknown: 0 },
  ...{ recordedAtMs: 1, messageGroup: '', oldest: 1, newest: 1, examples: [], isIntact: true },
  body: new Uint8Array(0),
};

/** A float and a histogram of one series, whose counts may be no protobuf. */
function request(name: string, counts: Uint8Array): OutgoingRequest {
  const copy = newDictionary();
  const id = appendSeries(copy, 'a', { __name__: name });
  const columns = new SampleColumns();
  columns.push(id, 1, 0, 0);
  columns.objects.push({ row: 1, kind: 'histogram', bytes: counts, layout: new Uint8Array(0) });
  columns.push(id, 2, 0, 0);
  return requestsOf(copy, columns)[0]!;
}

describe('bodies of requests', () => {
  it.each([
    ['v1', decodeWhole1],
    ['v2', decodeWhole2],
  ] as const)('have nothing of a request in %s that could not be written', (protocol, decode) => {
    const bodies = new RequestBodies(protocol);
    const bad = request('other_tenant', Uint8Array.of(0x08));
    const good = request('up', Uint8Array.of(0x08, 7));
    const expected = new RequestBodies(protocol).posted(good, 0, 2);
    for (const make of ['posted', 'kept'] as const) {
      expect(() => bodies[make](bad, 0, 2)).toThrow('cut off');
      const body = decode(bodies.posted(good, 0, 2));
      expect(body.map(({ labels }) => labels)).toEqual([
        ['__name__', 'up'],
        ['__name__', 'up'],
      ]);
    }
    expect(bodies.posted(good, 0, 2)).toEqual(expected);
    expect(() => bodies.kept(bad, 0, 2)).toThrow('cut off');
    const kept = decodeWhole1(bodies.kept(good, 0, 2));
    expect(new Set(kept.map(({ labels }) => labels[1]))).toEqual(new Set(['up']));
  });

  it('keep exemplars where a replay finds them, beside their histogram', () => {
    const copy = newDictionary();
    const id = appendSeries(copy, 'a', { __name__: 'latency' });
    const columns = new SampleColumns();
    columns.pushObject('histogram', id, 1, histogramBytes(3, 1, 9));
    columns.pushObject('exemplar', id, 1, exemplarBytes('x'));
    const bodies = new RequestBodies('v2');
    const [outgoing] = requestsOf(copy, columns);
    const kept = bodies.kept(outgoing!, 0, 2);
    const again = outgoingAgain({ ...KEPT, body: kept });
    expect(bodies.posted(again, 0, 2)).toEqual(bodies.posted(outgoing!, 0, 2));
    expect(decodeWhole2(bodies.posted(again, 0, 2))).toMatchObject([
      { histograms: [{ countInt: '9' }], exemplars: [{ labels: ['trace_id', 'x'] }] },
    ]);
  });
});
