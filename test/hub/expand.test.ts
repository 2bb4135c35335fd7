import { describe, expect, it } from 'vitest';
import { type ExpandableBatch, type Expansion, expandBatch } from '../../hub/expand/expansion.ts';
import { encodeMetadataEntry, encodeSeriesEntry } from '../../proto/dictionary-entry.ts';
import { type OutgoingRequest, WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import type { SampleColumns } from '../../proto/sample-columns.ts';
import { decodeExactly, type ExactSeries, labelNotation } from '../tools/exact-remote-write.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { appendSeries, columnsOf, labelBytes, newDictionary, pick } from './series-fixture.ts';

const OPTIONS = { lanes: 4, samplesPerRequestMax: 2000, separateReplicas: true };

function batchOf(columns: SampleColumns, tenant = 'a'): ExpandableBatch {
  return { tenant, named: tenant, columns, mayBeRedelivered: false };
}

function requestsOf(expansion: Expansion): OutgoingRequest[] {
  if (expansion.kind !== 'requests') throw new Error(expansion.kind);
  return expansion.requests;
}

function decoded(request: OutgoingRequest): ExactSeries[] {
  return decodeExactly(request.encode(new WriteRequestEncoder(), 0, request.count));
}

describe('the copy of a dictionary', () => {
  it('gives series and metadata their place in the log as id', () => {
    const copy = newDictionary();
    expect(appendSeries(copy, 'a', { __name__: 'up' })).toBe(0);
    expect(copy.append(encodeMetadataEntry('a', new Uint8Array()))).toEqual({ kind: 'appended' });
    expect(appendSeries(copy, 'b', { __name__: 'up' })).toBe(2);
    expect(copy.tenantOf(0)).toBe(copy.tenantNumber('a'));
    expect(copy.tenantOf(1)).toBe(-1);
    expect(copy.tenantOf(2)).toBe(copy.tenantNumber('b'));
    expect(copy.tenantOf(3)).toBe(-1);
    expect(copy.tenantNumber('c')).toBe(-1);
  });

  it('keeps the label bytes of a hundred thousand series, small ones and large ones', () => {
    const copy = newDictionary();
    const labelsOf = (id: number) => ({
      __name__: `m${id}`,
      x: 'v'.repeat(id % 1000 === 0 ? 60_000 : 20),
    });
    for (let id = 0; id < 100_000; id++) appendSeries(copy, 'a', labelsOf(id));
    for (let id = 0; id < 100_000; id += 77) {
      const labels = copy.labelChunk(id).subarray(copy.labelFrom(id), copy.labelTo(id));
      expect(Buffer.compare(labels, labelBytes(labelsOf(id)))).toBe(0);
    }
    expect(copy.memoryBytes()).toBeLessThan(20 * 2 ** 20);
  });

  it('spreads series over lanes by their label bytes alone', () => {
    const one = newDictionary();
    const other = newDictionary();
    appendSeries(other, 'b', { __name__: 'something else' });
    const lanes = [0, 0, 0, 0];
    for (let n = 0; n < 1000; n++) {
      const id = appendSeries(one, 'a', { __name__: 'up', instance: `node-${n}` });
      const otherId = appendSeries(other, 'b', { __name__: 'up', instance: `node-${n}` });
      expect(one.laneHash(id)).toBe(other.laneHash(otherId));
      lanes[one.laneHash(id) % 4]!++;
    }
    for (const series of lanes) expect(series).toBeGreaterThan(150);
  });

  it('finds the same lane after a restart', () => {
    const copy = newDictionary();
    appendSeries(copy, 'a', { __name__: 'up', job: 'node' });
    expect(copy.laneHash(0)).toBe(546272622);
  });

  it('tells replicas apart only when a series carries both labels', () => {
    const copy = newDictionary();
    const groups = [
      { __name__: 'up' },
      { __name__: 'up', cluster: 'x' },
      { __name__: 'up', __replica__: 'a' },
      { __name__: 'up', __replica__: 'a', cluster: 'x' },
      { __name__: 'up', __replica__: 'b', cluster: 'x' },
      { __name__: 'up', __replica__: 'a', cluster: 'y' },
      { __name__: 'down', __replica__: 'a', cluster: 'x' },
    ].map((labels) => copy.replicaGroup(appendSeries(copy, 'a', sorted(labels))));
    expect(groups).toEqual([0, 0, 0, 1, 2, 3, 1]);
  });

  it('forgets what is truncated, as if it had never been there', () => {
    const labels = (n: number) =>
      sorted({ __name__: 'up', __replica__: `r${n}`, cluster: 'x', pad: 'p'.repeat(900) });
    const copy = newDictionary();
    for (let n = 0; n < 1000; n++) appendSeries(copy, 'a', labels(n));
    const memoryBytes = copy.memoryBytes();
    for (let n = 1000; n < 4000; n++) appendSeries(copy, 'b', labels(n));
    copy.truncate(1000);
    expect(copy.length).toBe(1000);
    expect(copy.tenantNumber('b')).toBe(-1);
    expect(copy.tenantOf(1000)).toBe(-1);
    const id = appendSeries(copy, 'c', labels(9999));
    expect([id, copy.replicaGroup(id)]).toEqual([1000, 1001]);
    expect(copy.memoryBytes() - memoryBytes).toBeLessThan(200_000);
    for (const kept of [0, 500, 999]) {
      const bytes = copy.labelChunk(kept).subarray(copy.labelFrom(kept), copy.labelTo(kept));
      expect(Buffer.compare(bytes, labelBytes(labels(kept)))).toBe(0);
    }
  });

  it('is what a plain list would be, however often it is truncated', () => {
    const random = seededRandom('truncate');
    const copy = newDictionary();
    const list: Uint8Array[] = [];
    for (let round = 0; round < 200; round++) {
      for (let n = pick(random, 20); n > 0; n--) {
        const pad = 'p'.repeat(1 + pick(random, 60_000));
        const labels = { __name__: `m${round}`, n: `${n}`, pad };
        appendSeries(copy, 'a', labels);
        list.push(labelBytes(labels));
      }
      const length = Math.max(0, list.length - pick(random, 15));
      copy.truncate(length);
      list.length = length;
      expect(copy.length).toBe(length);
    }
    list.forEach((labels, id) => {
      const copied = copy.labelChunk(id).subarray(copy.labelFrom(id), copy.labelTo(id));
      expect(Buffer.compare(copied, labels)).toBe(0);
    });
    expect(copy.memoryBytes()).toBeLessThan(1.2 * Buffer.concat(list).length + 2 ** 20);
  });

  it('refuses entries that no agent of ours writes, and stays as it was', () => {
    const copy = newDictionary();
    const whole = encodeSeriesEntry('a', labelBytes({ __name__: 'up', job: 'node' }));
    const refused = [
      new Uint8Array(),
      whole.subarray(0, whole.length - 1),
      Uint8Array.of(7, ...whole.subarray(1)),
      encodeSeriesEntry('a', new Uint8Array()),
      encodeSeriesEntry('a', labelBytes({ job: 'node', __name__: 'up' })),
      encodeSeriesEntry('a', labelBytes({ __name__: 'up', job: '' })),
      encodeSeriesEntry('a', labelBytes({ __name__: 'up', job: 'x', 'job\u0000': '' })),
    ];
    for (const entry of refused) expect(copy.append(entry).kind).toBe('malformed');
    expect(copy.length).toBe(0);
    expect(copy.append(whole)).toEqual({ kind: 'appended' });
  });
});

function sorted(labels: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

describe('the expansion of a batch', () => {
  it('carries every sample once, bit for bit, in order, on the lane of its series', () => {
    const random = seededRandom('expansion');
    const copy = newDictionary();
    for (let n = 0; n < 50; n++) {
      const replica = n % 3 === 0 ? {} : { __replica__: `r${n % 2}`, cluster: 'x' };
      appendSeries(copy, 'a', sorted({ __name__: 'up', instance: `i${n}`, ...replica }));
    }
    const rows = Array.from({ length: 5000 }, (_, at) => [pick(random, 50), at] as const);
    const columns = columnsOf(rows);
    const expansion = expandBatch(batchOf(columns), copy, {
      lanes: 3,
      samplesPerRequestMax: 100,
      separateReplicas: true,
    });
    const laneOfSeries = new Map<string, number>();
    const newest = new Map<string, number>();
    const seen = new Set<bigint>();
    for (const request of requestsOf(expansion)) {
      expect(request.count).toBeLessThanOrEqual(100);
      const groups = new Set<string>();
      for (const { labels, samples } of decoded(request)) {
        const series = labelNotation(labels);
        expect(laneOfSeries.get(series) ?? request.lane).toBe(request.lane);
        laneOfSeries.set(series, request.lane);
        groups.add(labels.find(({ name }) => name === '__replica__')?.value ?? 'none');
        for (const { timestamp, bits } of samples) {
          expect(newest.get(series) ?? -1).toBeLessThan(timestamp);
          newest.set(series, timestamp);
          expect(bits).toBe((0x7ff0_0000n << 32n) | BigInt(timestamp));
          seen.add(bits);
        }
      }
      expect(groups.size).toBe(1);
    }
    expect(seen.size).toBe(5000);
    // Three each for the series of no replica, of r0 and of r1.
    expect(new Set(laneOfSeries.values()).size).toBe(9);
  });

  it('sends the oldest arrivals of a lane first, whatever replica they come from', () => {
    const copy = newDictionary();
    const replicas = ['a', 'b'].map((replica) =>
      appendSeries(copy, 'a', { __name__: 'up', __replica__: replica, cluster: 'x' }),
    );
    const rows = Array.from({ length: 400 }, (_, at) => [replicas[at % 2]!, at] as const);
    const options = { lanes: 1, samplesPerRequestMax: 50, separateReplicas: true };
    const requests = requestsOf(expandBatch(batchOf(columnsOf(rows)), copy, options));
    const firsts = requests.map((request) => decoded(request)[0]!.samples[0]!.timestamp);
    expect(firsts).toEqual([0, 1, 100, 101, 200, 201, 300, 301]);
  });

  it('gives replica groups lanes apart, the same ones in every dictionary', () => {
    const lanesOf = (groups: readonly string[]) => {
      const copy = newDictionary();
      const rows = groups.flatMap((cluster) =>
        Array.from({ length: 20 }, (_, n) => {
          const ha = cluster === '' ? {} : { __replica__: 'a', cluster };
          const labels = sorted({ __name__: 'up', instance: `i${n}`, ...ha });
          return [appendSeries(copy, 'a', labels), n] as const;
        }),
      );
      const lanes = new Map<string | undefined, Set<number>>();
      for (const request of requestsOf(expandBatch(batchOf(columnsOf(rows)), copy, OPTIONS))) {
        const { replica, lane } = request;
        lanes.set(replica?.cluster, (lanes.get(replica?.cluster) ?? new Set()).add(lane));
      }
      return lanes;
    };
    const lanes = lanesOf(['', 'k1', 'k2']);
    expect([...lanes.get(undefined)!].sort()).toEqual([0, 1, 2, 3]);
    const all = [...lanes.values()].flatMap((numbers) => [...numbers]);
    expect(new Set(all).size).toBe(12);
    expect(Math.max(...all)).toBeLessThan(4 * 17);
    expect(lanesOf(['k2', '', 'k1'])).toEqual(lanes);
  });

  it('mixes replicas where the destination holds no elections', () => {
    const copy = newDictionary();
    const one = appendSeries(copy, 'a', { __name__: 'up', __replica__: 'a', cluster: 'x' });
    const other = appendSeries(copy, 'a', { __name__: 'up', __replica__: 'b', cluster: 'x' });
    const columns = columnsOf([
      [one, 1],
      [other, 1],
    ]);
    const options = { ...OPTIONS, lanes: 1, separateReplicas: false };
    expect(requestsOf(expandBatch(batchOf(columns), copy, options))).toHaveLength(1);
  });

  it('encodes any part of a request', () => {
    const copy = newDictionary();
    const id = appendSeries(copy, 'a', { __name__: 'up' });
    const columns = columnsOf([1, 2, 3, 4, 5].map((at) => [id, at] as const));
    const [request] = requestsOf(expandBatch(batchOf(columns), copy, OPTIONS));
    const part = decodeExactly(request!.encode(new WriteRequestEncoder(), 1, 4));
    expect(part.flatMap(({ samples }) => samples.map(({ timestamp }) => timestamp))).toEqual([
      2, 3, 4,
    ]);
  });

  it('writes as the tenant that the hub maps the agent to', () => {
    const copy = newDictionary();
    const id = appendSeries(copy, '', { __name__: 'up' });
    const batch = { ...batchOf(columnsOf([[id, 1]]), ''), tenant: 'overseas' };
    const [request] = requestsOf(expandBatch(batch, copy, OPTIONS));
    expect(request?.tenant).toBe('overseas');
  });

  it('names ids that are unknown, that are metadata, that are another tenant’s', () => {
    const copy = newDictionary();
    const mine = appendSeries(copy, 'a', { __name__: 'up' });
    const theirs = appendSeries(copy, 'b', { __name__: 'up' });
    copy.append(encodeMetadataEntry('a', new Uint8Array()));
    const kinds = [theirs, 2, 3, 0xffff_ffff].map((id) => {
      const columns = columnsOf([
        [mine, 1],
        [id, 1],
      ]);
      return expandBatch(batchOf(columns), copy, OPTIONS);
    });
    expect(kinds).toEqual([
      { kind: 'foreign_series', id: theirs },
      { kind: 'unknown_series', id: 2 },
      { kind: 'unknown_series', id: 3 },
      { kind: 'unknown_series', id: 0xffff_ffff },
    ]);
    const stranger = batchOf(columnsOf([[mine, 1]]), 'nobody');
    expect(expandBatch(stranger, copy, OPTIONS)).toEqual({
      kind: 'foreign_series',
      id: mine,
    });
  });

  it('makes no request of an empty batch', () => {
    const expansion = expandBatch(batchOf(columnsOf([])), newDictionary(), OPTIONS);
    expect(requestsOf(expansion)).toEqual([]);
  });
});
