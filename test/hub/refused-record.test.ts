import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RefusedStore, refusedFile } from '../../hub/store/refused-store.ts';
import { Workspace } from '../tools/workspace.ts';
import { bodyOf, refusal } from './refused-fixture.ts';
import { lookInto, MIB, openRecordIn } from './refused-rig.ts';

const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;

let workspace: Workspace;
let dataDir: string;
beforeEach(() => {
  workspace = new Workspace('refused');
  dataDir = workspace.subfolder('data');
});
afterEach(() => workspace.close());

const openRecord = (options?: Parameters<typeof openRecordIn>[2]) =>
  openRecordIn(workspace, dataDir, options);
const look = <T>(work: (store: RefusedStore) => T): T => lookInto(dataDir, work);

/** A refusal whose record takes about `kib` KiB. */
function large(agent: string, kib: number) {
  return refusal({ agent, message: 'x'.repeat(kib * 1024) });
}

describe('the record of refused samples', () => {
  it('holds all there is to know of a refusal, and the body bit for bit', async () => {
    const { record, clock } = openRecord();
    const request = refusal();
    await record.keep([request]);
    expect(look((store) => store.get(1))).toEqual({
      ...request,
      body: Buffer.from(request.body),
      id: 1,
      recordedAtMs: clock.now(),
      messageGroup: '400 out of order sample. timestamp=N, series={…}',
      oldest: 1_700_000_000_000,
      newest: 1_700_000_015_000,
      examples: ['{__name__="up"}', '{__name__="down"}'],
      crc: expect.any(Number),
      bytes: expect.any(Number),
      isIntact: true,
    });
  });

  it('is on disk when keep resolves, and there after a restart', async () => {
    const first = openRecord();
    await Promise.all([first.record.keep([refusal()]), first.record.keep([refusal(), refusal()])]);
    expect(look((store) => store.ids({}))).toEqual([1, 2, 3]);
    await first.record.close();
    const second = openRecord();
    await second.record.keep([refusal({ reason: 'too_old', refused: 2, unknown: 0 })]);
    expect(second.record.totals()).toMatchObject([
      { reason: 'out_of_order', records: 3, refused: 3, unknown: 3 },
      { reason: 'too_old', records: 1, refused: 2, unknown: 0 },
    ]);
  });

  it('counts a million alike as one group, and others apart', async () => {
    const { record, clock } = openRecord();
    const began = clock.now();
    const message = (n: number) => `400 out of order sample. timestamp=${n}, series={n="${n}"}`;
    const alike = Array.from({ length: 300 }, (_, n) =>
      refusal({ message: message(n), body: bodyOf([['up', n, 1n]]), unknown: 0 }),
    );
    await record.keep(alike);
    await clock.sleep(1000);
    await record.keep([refusal({ agent: 'fra' }), refusal({ tenant: 'other' })]);
    await record.keep([refusal({ reason: 'too_new' }), refusal({ message: '400 else' })]);
    const groups = look((store) => store.groups({}));
    expect(groups).toHaveLength(5);
    expect(groups.at(-1)).toMatchObject({
      agent: 'sg',
      tenant: 'overseas',
      reason: 'out_of_order',
      records: 300,
      refused: 300,
      unknown: 0,
      oldest: 0,
      newest: 299,
      firstRecordedAtMs: began,
      lastRecordedAtMs: began,
      lastId: 300,
    });
    expect(look((store) => store.groups({ agent: 'fra' }))).toMatchObject([{ lastId: 301 }]);
    expect(look((store) => store.groups({ tenant: 'other' }))).toMatchObject([{ lastId: 302 }]);
    expect(look((store) => store.groups({ reason: 'too_new' }))).toMatchObject([{ lastId: 303 }]);
    expect(look((store) => store.ids({ reason: 'unknown' }))).toHaveLength(4);
    expect(look((store) => store.ids({ sinceMs: clock.now() }))).toHaveLength(4);
    expect(look((store) => store.ids({ id: 7 }))).toEqual([7]);
  });

  it('lists what has the oldest samples first', async () => {
    const { record } = openRecord();
    const at = (ms: number) => refusal({ body: bodyOf([['up', ms, 1n]]) });
    await record.keep([at(30), at(-10), at(20)]);
    expect(look((store) => store.ids({}))).toEqual([2, 3, 1]);
  });
});

describe('the bounds of the record', () => {
  it('drop the oldest records for new ones, counted and logged', async () => {
    const { record, dropped, lines } = openRecord({ bytesMax: MIB });
    for (let n = 0; n < 30; n++) await record.keep([large(`a${n}`, 50)]);
    const agents = look((store) => store.groups({}).map(({ agent }) => agent));
    expect(agents).toEqual(Array.from({ length: agents.length }, (_, n) => `a${29 - n}`));
    expect(agents.length).toBeGreaterThan(15);
    expect(dropped).toEqual({ age: 0, bytes: 30 - agents.length, disk: 0 });
    expect(lines).toContain('refused bytes');
    const [total] = record.totals();
    expect(total?.records).toBe(agents.length);
    expect(total?.bytes).toBeLessThanOrEqual(MIB);
    expect(total?.bytes).toBeGreaterThan(0.9 * MIB);
  });

  it('do not give everything up for one record that is larger than all', async () => {
    const { record, dropped } = openRecord({ bytesMax: MIB });
    await record.keep([refusal(), large('huge', 1025)]);
    expect(look((store) => store.ids({}))).toEqual([1]);
    expect(dropped.bytes).toBe(1);
  });

  it('drop what is older than the age limit', async () => {
    const { record, clock, dropped, ending } = openRecord({ ageMaxMs: 3_600_000 });
    const began = clock.now();
    await record.keep([refusal({ agent: 'old' })]);
    await clock.sleep(3_000_000);
    await record.keep([refusal({ agent: 'young' })]);
    await record.run(ending.signal);
    expect(clock.now()).toBeLessThan(began + 3_700_000);
    expect(dropped).toEqual({ age: 1, bytes: 0, disk: 0 });
    expect(look((store) => store.groups({}).map(({ agent }) => agent))).toEqual(['young']);
  });

  it('stay, whatever the clock says, until it has run evenly for an hour', async () => {
    const { record, clock, dropped } = openRecord({ ageMaxMs: 14 * DAY_MS });
    await record.keep([refusal()]);
    const runFor = async (ms: number): Promise<void> => {
      const ending = new AbortController();
      const endsAtMs = clock.elapsedMs() + ms;
      const running = record.run(ending.signal);
      while (clock.elapsedMs() < endsAtMs) await new Promise((turn) => setImmediate(turn));
      ending.abort();
      await running;
    };
    // Wrong at the start, for moments, and once more when all seemed well.
    clock.step(YEAR_MS);
    await runFor(60_000);
    clock.step(-YEAR_MS);
    await runFor(4_000_000);
    clock.step(YEAR_MS);
    await runFor(3_000_000);
    clock.step(-YEAR_MS);
    await runFor(60_000);
    expect(dropped.age).toBe(0);
    clock.step(YEAR_MS);
    await runFor(3_700_000);
    expect(dropped.age).toBe(1);
  });

  it('give the space of dropped records back to the file system', async () => {
    const { record } = openRecord();
    await record.keep(Array.from({ length: 15 }, (_, n) => large(`a${n}`, 50)));
    const before = pageCount();
    look((store) => {
      for (const id of store.ids({})) store.replace(id, []);
    });
    const ending = new AbortController();
    const running = record.run(ending.signal);
    await expect.poll(pageCount).toBeLessThan(before / 5);
    ending.abort();
    await running;
  });

  function pageCount(): number {
    const db = new Database(refusedFile(dataDir), { readonly: true });
    const pages = db.pragma('page_count', { simple: true }) as number;
    db.close();
    return pages;
  }
});
