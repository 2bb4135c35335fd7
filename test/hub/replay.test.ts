import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeRequest } from '../../hub/refused/description.ts';
import type { RefusedRequest } from '../../hub/refused-request.ts';
import { type ReplayResult, replay } from '../../hub/replay.ts';
import { openRefusedStore, type RefusedStore, refusedFile } from '../../hub/store/refused-store.ts';
import { Destination } from '../../hub/write/destination.ts';
import type { Post, PostResult } from '../../hub/write/post.ts';
import { RefusalSearch } from '../../hub/write/refusal-search.ts';
import type { DestinationKind } from '../../proto/outcome.ts';
import { WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import type { WriteProtocol } from '../../proto/remote-write/write-encoder.ts';
import { exemplarBytes, histogramBytes } from '../proto/objects/columns-fixture.ts';
import {
  type CheckingDestination,
  type CheckingDestinationOptions,
  startCheckingDestination,
} from '../tools/checking-destination.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { decodeWhole1, decodeWhole2 } from '../tools/whole-remote-write.ts';
import { Workspace } from '../tools/workspace.ts';
import { bodyOf, NEGATIVE_ZERO, type Row, refusal, STALE } from './refused-fixture.ts';
import { labelBytes } from './series-fixture.ts';
import { InstantClock } from './write-fixture.ts';

const RECORDED_AT_MS = 1_700_000_000_000;

let workspace: Workspace;
let store: RefusedStore;
beforeEach(() => {
  workspace = new Workspace('replay');
  store = openRefusedStore(workspace.subfolder('data'), 2 ** 20);
});
afterEach(async () => {
  store.close();
  await workspace.close();
});

function keep(...requests: RefusedRequest[]): number[] {
  store.add(requests.map((request) => describeRequest(request, RECORDED_AT_MS)));
  return store.ids({});
}

interface Rig {
  checking: CheckingDestination;
  bodies: Uint8Array[];
  replay(id: number, options?: { keep?: boolean }): Promise<ReplayResult>;
}

/** A replay of the store into a real destination, a Cortex unless told otherwise, or `answer`. */
async function rig(
  options: CheckingDestinationOptions = {},
  kind: DestinationKind = 'cortex',
  protocol: WriteProtocol = 'v1',
  answer?: PostResult,
): Promise<Rig> {
  const checking = await startCheckingDestination({ semantics: 'cortex', ...options });
  const sender = new Destination({
    url: checking.url,
    tenantHeader: 'X-Scope-OrgID',
    timeoutMs: 10_000,
    connectTimeoutMs: 5000,
    inFlightMax: 1,
    version: '0.0.0',
  });
  workspace.onClose(() => sender.close().then(() => checking.close()));
  const bodies: Uint8Array[] = [];
  const post: Post = (request) => {
    bodies.push(request.body);
    return answer === undefined ? sender.post(request) : Promise.resolve(answer);
  };
  const random = seededRandom('replay');
  const clock = new InstantClock();
  const search = new RefusalSearch(6000, clock);
  const common = { store, kind, protocol, post, search, clock, random };
  return {
    checking,
    bodies,
    replay: (id, { keep = false } = {}) => replay(id, { ...common, keep }),
  };
}

const ROWS: readonly Row[] = [
  ['up', 10, STALE],
  ['up', 20, NEGATIVE_ZERO],
  ['down', 15, 0x7ff8_dead_beef_0001n],
];

describe('a kept request that is sent again', () => {
  it('arrives bit for bit, stale markers included, and leaves the record', async () => {
    const { checking, bodies, replay } = await rig({ semantics: 'prometheus' }, 'prometheus');
    const body = bodyOf(ROWS);
    const [id] = keep(refusal({ body }));
    expect(await replay(id!)).toMatchObject({
      kind: 'answered',
      settlement: { accepted: 3 },
      refused: [],
    });
    expect(bodies.map((sent) => Buffer.from(sent))).toEqual([Buffer.from(body)]);
    expect(checking.samples('overseas')).toEqual(
      new Map([
        [
          '{__name__="up"}',
          [
            { timestamp: 10, bits: STALE },
            { timestamp: 20, bits: NEGATIVE_ZERO },
          ],
        ],
        ['{__name__="down"}', [{ timestamp: 15, bits: 0x7ff8_dead_beef_0001n }]],
      ]),
    );
    expect(checking.violations).toEqual([]);
    expect(store.ids({})).toEqual([]);
    expect(store.totals()).toEqual([]);
  });

  it.each([
    ['v1', decodeWhole1],
    ['v2', decodeWhole2],
  ] as const)('arrives with histograms and exemplars in version %s', async (protocol, decode) => {
    const { bodies, replay } = await rig({}, 'cortex', protocol, {
      kind: 'answer',
      status: 204,
      headers: { written: 2 },
      body: '',
    });
    const encoder = new WriteRequestEncoder({ startTimestamps: true });
    const labels = labelBytes({ __name__: 'latency' });
    encoder.series(labels, 0, labels.length);
    encoder.sample(10, 1, 2, 5);
    encoder.series(labels, 0, labels.length);
    encoder.histogram(20, histogramBytes(3, 1, 9), 15);
    encoder.exemplar(20, exemplarBytes('x'));
    const [id] = keep(refusal({ body: encoder.finish(), refused: 3, unknown: 0 }));
    expect(store.get(id!)).toMatchObject({ oldest: 10, newest: 20 });
    expect(await replay(id!)).toMatchObject({ kind: 'answered', settlement: { accepted: 3 } });
    const start = (ms: string) => (protocol === 'v2' ? { startTimestamp: ms } : {});
    const none = { labels: ['__name__', 'latency'], samples: [], histograms: [], exemplars: [] };
    const samples = [{ timestamp: '10', value: '8589934593', ...start('5') }];
    const histogram = expect.objectContaining({ countInt: '9', timestamp: '20', ...start('15') });
    const histograms = [histogram];
    const exemplars = [{ labels: ['trace_id', 'x'], timestamp: '20' }];
    const behind =
      protocol === 'v2'
        ? [{ ...none, histograms, exemplars }]
        : [
            { ...none, histograms },
            { ...none, exemplars },
          ];
    // A Cortex is never sent two samples of a series at once.
    expect(bodies.map(decode)).toEqual([[{ ...none, samples }], behind]);
    expect(store.ids({})).toEqual([]);
  });

  it('stays in the record where that is wanted', async () => {
    const { replay } = await rig();
    const [id] = keep(refusal());
    expect(await replay(id!, { keep: true })).toMatchObject({ settlement: { accepted: 2 } });
    expect(store.ids({})).toEqual([id]);
  });

  it('stays when it is refused again, under its id and with what was said now', async () => {
    const { replay } = await rig({ refuse: () => 'out of bounds' });
    const [id] = keep(refusal());
    expect(await replay(id!)).toMatchObject({
      settlement: { unknown: 0, refused: new Map([['out_of_bounds', 2]]) },
      refused: [{ reason: 'out_of_bounds' }],
    });
    expect(store.get(id!)).toMatchObject({
      reason: 'out_of_bounds',
      message: expect.stringContaining('out of bounds'),
      recordedAtMs: RECORDED_AT_MS,
      isIntact: true,
    });
    expect(store.ids({})).toEqual([id]);
  });

  it('is bisected where the destination refuses whole requests: only what is guilty stays', async () => {
    const rows = Array.from({ length: 40 }, (_, at): Row => ['up', at + 1, BigInt(at)]);
    const { checking, replay } = await rig(
      {
        semantics: 'prometheus',
        refuse: (_tenant, _series, { timestamp }) => (timestamp % 20 === 7 ? 'too old' : undefined),
      },
      'prometheus',
    );
    const [id] = keep(refusal({ body: bodyOf(rows), refused: 40, unknown: 0 }));
    await replay(id!);
    expect([...checking.samples('overseas').values()].flat()).toHaveLength(38);
    const left = store.ids({}).map((at) => store.get(at)!);
    expect(left.map(({ oldest, newest, refused }) => [oldest, newest, refused])).toEqual([
      [7, 27, 2],
    ]);
  });

  it('waits for a destination that is busy for a while', async () => {
    const { checking, replay } = await rig();
    checking.answerNext({ status: 503 }, { status: 429 }, { ending: 'cut' });
    const [id] = keep(refusal());
    expect(await replay(id!)).toMatchObject({ settlement: { accepted: 2 } });
  });

  it.each([
    ['503', { status: 503 }, true],
    ['401', { status: 401 }, true],
    ['500', { status: 500 }, false],
  ] as const)('stays when the answer is %s for long', async (message, answer, isAway) => {
    const { checking, replay } = await rig();
    checking.answerAllWith(answer.status);
    const [id] = keep(refusal());
    expect(await replay(id!)).toMatchObject({ kind: 'unanswered', message, isAway });
    expect(store.ids({})).toEqual([id]);
  });

  it('stays when an attempt without an answer may have stored it', async () => {
    const { checking, replay } = await rig({ semantics: 'prometheus' }, 'prometheus');
    checking.answerNext({ ending: 'cut', stores: true });
    const [id] = keep(refusal({ body: bodyOf(ROWS) }));
    expect(await replay(id!)).toMatchObject({
      settlement: { redelivered: 1, accepted: 2 },
    });
    expect(store.ids({})).toEqual([id]);
  });

  it('is not sent when its row is damaged', async () => {
    const { bodies, replay } = await rig();
    const [id] = keep(refusal());
    const db = new Database(refusedFile(workspace.subfolder('data')));
    db.exec("UPDATE refused SET tenant = 'another'");
    db.close();
    expect(await replay(id!)).toMatchObject({ kind: 'damaged' });
    expect(bodies).toEqual([]);
    expect(store.ids({})).toEqual([id]);
  });

  it('is gone when it was dropped since it was chosen', async () => {
    const { replay } = await rig();
    expect(await replay(1)).toEqual({ kind: 'gone' });
  });
});
