import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readBody } from '../../base/http-body.ts';
import { Destination } from '../../hub/write/destination.ts';
import type { DestinationKind } from '../../proto/outcome.ts';
import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import { emptySettlement, type RefusalReason, type Settlement } from '../../proto/settlement.ts';
import { exemplarBytes, histogramBytes } from '../proto/objects/columns-fixture.ts';
import { decodeWhole1, decodeWhole2, type WholeSeries } from '../tools/whole-remote-write.ts';
import { Workspace } from '../tools/workspace.ts';
import { appendSeries, columnsOf, newDictionary } from './series-fixture.ts';
import { requestsOf, rig } from './write-fixture.ts';

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace('write-version-2');
});
afterEach(() => workspace.close());

interface Answer {
  status: number;
  /** Samples, histograms and exemplars written; undefined: no such headers. */
  written?: [number, number, number];
  body?: string;
}

interface Received {
  headers: IncomingHttpHeaders;
  series: WholeSeries[];
}

/** A real receiver that answers as it is told, by the number of the request. */
async function chain(answer: (received: Received, at: number) => Answer, kind: DestinationKind) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    void readBody(request, { bytesMax: 1 << 20, timeoutMs: 5000 }).then((body) => {
      if (body.kind !== 'body') throw new Error(body.kind);
      const one = { headers: request.headers, series: decodeWhole2(body.bytes) };
      received.push(one);
      const { status, written, body: text = '' } = answer(one, received.length - 1);
      for (const [at, what] of ['Samples', 'Histograms', 'Exemplars'].entries()) {
        if (written === undefined) break;
        response.setHeader(`X-Prometheus-Remote-Write-${what}-Written`, String(written[at]));
      }
      response.writeHead(status).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  workspace.onClose(() => {
    server.closeAllConnections();
    server.close();
  });
  const sender = new Destination({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/write`,
    tenantHeader: 'X-Scope-OrgID',
    timeoutMs: 5000,
    connectTimeoutMs: 5000,
    inFlightMax: 1,
    version: '0.0.0',
  });
  workspace.onClose(() => sender.close());
  const tools = rig(kind, sender.post, { protocol: 'v2' });
  const deliver = async (request: OutgoingRequest): Promise<Settlement> => {
    const { signal } = new AbortController();
    const result = await tools.deliver(request, { cancel: signal, end: signal });
    if (result.kind !== 'settled') throw new Error(result.kind);
    return result.settlement;
  };
  return { ...tools, received, deliver };
}

/** Five floats of one series or of five, then a histogram of another with its exemplar. */
function requestOf(mayBeRedelivered = false, floatSeries: 1 | 5 = 1): OutgoingRequest {
  const copy = newDictionary();
  const names = Array.from({ length: floatSeries }, (_, at) => `up${at === 0 ? '' : at}`);
  const ups = names.map((name) => appendSeries(copy, 'a', { __name__: name }));
  const latency = appendSeries(copy, 'a', { __name__: 'latency' });
  const columns = columnsOf([1, 2, 3, 4, 5].map((at) => [ups[at % floatSeries]!, at] as const));
  columns.pushObject('histogram', latency, 6, histogramBytes(3, 1, 9));
  columns.setStart(5, 4);
  columns.pushObject('exemplar', latency, 6, exemplarBytes('x'));
  return requestsOf(copy, columns, { mayBeRedelivered })[0]!;
}

function settled(counts: Partial<Settlement>): Settlement {
  return { ...emptySettlement(), ...counts };
}

function refused(reason: RefusalReason, count: number) {
  return { refused: new Map([[reason, count]]) };
}

const ALL = { status: 204, written: [5, 1, 1] } as Answer;
const ORDER = 'out of order sample for series {__name__="up"}';
const NO_SAMPLE =
  'TimeSeries must contain at least one sample or histogram for series {__name__="up"}';

describe('a destination that takes remote write 2.0', () => {
  it('is told so, and stores start timestamps and exemplars beside their samples', async () => {
    const { deliver, received } = await chain(() => ALL, 'prometheus');
    expect(await deliver(requestOf())).toEqual(settled({ accepted: 7 }));
    expect(received[0]?.headers).toMatchObject({
      'content-encoding': 'snappy',
      'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
      'x-prometheus-remote-write-version': '2.0.0',
    });
    expect(received[0]?.series).toMatchObject([
      { samples: { length: 5 }, histograms: [], exemplars: [] },
      { samples: [], histograms: [{ startTimestamp: '4' }], exemplars: [{ timestamp: '6' }] },
    ]);
  });

  it.each(['prometheus', 'generic', 'thanos'] as const)(
    'is believed by its counts, a %s',
    async (kind) => {
      const answer = { status: 400, written: [3, 1, 1], body: `${ORDER}\n${ORDER}\n` } as Answer;
      const { deliver, received, refused: kept, lines } = await chain(() => answer, kind);
      expect(await deliver(requestOf(false, 5))).toEqual(
        settled({ accepted: 5, ...refused('out_of_order', 2) }),
      );
      expect(received).toHaveLength(1);
      expect(kept).toMatchObject([{ reason: 'out_of_order', refused: 2, unknown: 5 }]);
      expect(lines).toMatchObject([{ key: 'refused out_of_order', fields: { refused: 2 } }]);
    },
  );

  it('has refused something when it says 400, and never more than it was sent', async () => {
    const counts: [number, number, number][] = [
      [5, 1, 1],
      [9, 9, 9],
      [0, 0, 0],
    ];
    for (const [at, written] of counts.entries()) {
      const answer = { status: 400, written, body: 'too old sample' };
      const { deliver } = await chain(() => answer, 'prometheus');
      const count = at === 2 ? 7 : 1;
      expect(await deliver(requestOf())).toEqual(
        settled({ accepted: 7 - count, ...refused('too_old', count) }),
      );
    }
  });

  it('answers a redelivery with what it had stored, unless another line says more', async () => {
    const written: [number, number, number] = [3, 1, 1];
    const echo = await chain(() => ({ status: 400, written, body: `${ORDER}\n` }), 'prometheus');
    expect(await echo.deliver(requestOf(true))).toEqual(settled({ accepted: 5, redelivered: 2 }));
    const body = `${ORDER}\ntoo old sample for series {__name__="up"}\n`;
    const mixed = await chain(() => ({ status: 400, written, body }), 'prometheus');
    expect(await mixed.deliver(requestOf(true))).toEqual(
      settled({ accepted: 5, ...refused('too_old', 2) }),
    );
  });

  it('has stored nothing where it counts nothing: the guilty sample is searched', async () => {
    const isGuilty = ({ series }: Received) =>
      series.some(({ samples }) => samples.some(({ timestamp }) => timestamp === '3'));
    const { deliver } = await chain(
      (one) => (isGuilty(one) ? { status: 400, body: 'too old' } : ALL),
      'prometheus',
    );
    expect(await deliver(requestOf())).toEqual(settled({ accepted: 6, ...refused('too_old', 1) }));
  });

  it('is a Cortex: its counts say what was valid, not what is stored', async () => {
    const body = 'maxFailure (quorum) on a given error family, err: out of order sample';
    const { deliver } = await chain(() => ({ status: 400, written: [0, 0, 0], body }), 'cortex');
    expect(await deliver(requestOf(false, 5))).toEqual(
      // An exemplar may be stored without its sample.
      settled({ unknown: 1, ...refused('out_of_order', 6) }),
    );
  });

  it('is a Cortex that can read nothing: only what it cannot read is refused', async () => {
    const hasLoneExemplar = ({ series }: Received) =>
      series.some((one) => one.samples.length + one.histograms.length === 0);
    const { deliver } = await chain(
      (one) => (hasLoneExemplar(one) ? { status: 400, written: [0, 0, 0], body: NO_SAMPLE } : ALL),
      'cortex',
    );
    const copy = newDictionary();
    const up = appendSeries(copy, 'a', { __name__: 'up' });
    const down = appendSeries(copy, 'a', { __name__: 'down' });
    const columns = columnsOf([1, 2, 3].map((at) => [up, at] as const));
    columns.pushObject('exemplar', down, 6, exemplarBytes('x'));
    columns.pushObject('exemplar', down, 7, exemplarBytes('y'));
    const settlements = [];
    for (const request of requestsOf(copy, columns)) settlements.push(await deliver(request));
    expect(settlements).toEqual([settled({ accepted: 3 }), settled(refused('exemplar', 2))]);
    // The next exemplar of the series goes beside its sample: alone it would be refused again.
    const next = columnsOf([[down, 8] as const]);
    next.pushObject('exemplar', down, 8, exemplarBytes('z'));
    const [beside] = requestsOf(copy, next);
    expect(await deliver(beside!)).toEqual(settled({ accepted: 2 }));
  });

  it('elects replicas by 202', async () => {
    const { deliver } = await chain(() => ({ ...ALL, status: 202 }), 'cortex');
    expect(await deliver(requestOf())).toEqual(settled({ deduplicated: 7 }));
  });
});

describe('a destination that takes remote write 1.0 only', () => {
  it('loses nothing: a 2xx without counts is no success, and is said loudly', async () => {
    const { deliver, lines, held, received } = await chain(
      (_, at) => (at < 2 ? { status: 204 } : ALL),
      'victoriametrics',
    );
    expect(await deliver(requestOf())).toEqual(settled({ accepted: 7 }));
    expect(received).toHaveLength(3);
    expect(held).toEqual([1, -1]);
    expect(lines).toMatchObject([
      { level: 'error', key: 'misconfigured' },
      { level: 'error', key: 'misconfigured' },
    ]);
    expect(lines[0]?.fields['check']).toMatch(/^destination\.protocol: v1/);
  });

  it('may have stored it all the same, behind a proxy that drops headers', async () => {
    const { deliver } = await chain(
      (_, at) =>
        at === 0 ? { status: 204 } : { status: 400, written: [0, 1, 1], body: `${ORDER}\n` },
      'prometheus',
    );
    expect(await deliver(requestOf())).toEqual(settled({ accepted: 2, redelivered: 5 }));
  });

  it('says 415, and the advice names destination.protocol', async () => {
    const { deliver, lines } = await chain((_, at) => (at === 0 ? { status: 415 } : ALL), 'cortex');
    expect(await deliver(requestOf())).toEqual(settled({ accepted: 7 }));
    expect(lines[0]?.fields['check']).toMatch(/^destination\.protocol: v1.*remote-writev2-enabled/);
  });
});

describe('what is refused of a 2.0 request', () => {
  it('is kept in a form of its own, start timestamps and exemplars included', async () => {
    const { deliver, refused: kept } = await chain(
      () => ({ status: 400, written: [0, 0, 0], body: 'too old' }),
      'prometheus',
    );
    await deliver(requestOf());
    expect(decodeWhole1(kept[0]!.body)).toMatchObject([
      { labels: ['__name__', 'up'], samples: { length: 5 } },
      {
        labels: ['__name__', 'latency'],
        histograms: [{ timestamp: '6', startTimestamp: '4', countInt: '9' }],
        exemplars: [{ labels: ['trace_id', 'x'] }],
      },
    ]);
  });
});
