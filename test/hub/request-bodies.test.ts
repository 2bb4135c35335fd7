import { describe, expect, it } from 'vitest';
import { RequestBodies } from '../../hub/write/request-bodies.ts';
import type { OutgoingRequest } from '../../proto/remote-write-out.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { decodeWhole1, decodeWhole2 } from '../tools/whole-remote-write.ts';
import { appendSeries, newDictionary } from './series-fixture.ts';
import { requestsOf } from './write-fixture.ts';

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
});
