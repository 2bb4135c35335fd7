import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Traffic } from '../../agent/ship/link-turns.ts';
import { VirtualTime, WallClock } from '../sim/virtual-time.ts';
import { seedOfRun } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import { PacedLink } from './link-fixture.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let workspace: Workspace;
let time: VirtualTime;
let clock: WallClock;
beforeEach(() => {
  workspace = new Workspace('link-pacer');
  time = new VirtualTime();
  // A Thursday.
  clock = new WallClock(time, Date.parse('2026-11-05T07:00:00Z'));
});
afterEach(() => workspace.close());

const open = (config: ConstructorParameters<typeof PacedLink>[0]) =>
  new PacedLink(config, workspace.folder, clock);

/** Sends body after body until the link has been used for `ms`. */
async function keepSending(link: PacedLink, traffic: Traffic, bytes: number, ms: number) {
  const isOverAt = time.elapsedMs + ms;
  while (time.elapsedMs < isOverAt) await link.send(bytes, traffic);
}

describe('a limit of 20 kB/s', () => {
  test('lets a body go in parts, none of them early', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    await time.run(link.send(200_000, 'backlog'));
    expect(time.elapsedMs).toBeGreaterThanOrEqual(10_000);
    expect(time.elapsedMs).toBeLessThan(10_010);
    expect(link.sent).toHaveLength(100);
    expect(link.sentBytes('backlog')).toBe(200_000);
  });

  test('lets a second’s worth go at once after a pause, and no more', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    await time.run(clock.sleep(HOUR_MS));
    const before = time.elapsedMs;
    await time.run(link.send(20_000, 'live'));
    expect(time.elapsedMs).toBe(before);
    await time.run(link.send(20_000, 'live'));
    expect(time.elapsedMs - before).toBeGreaterThanOrEqual(1000);
  });

  test('saves up no more than that, whatever goes first', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    await time.run(clock.sleep(HOUR_MS));
    link.linkBytes.up += 20_000;
    await time.run(link.send(1000, 'live'));
    expect(time.elapsedMs).toBe(HOUR_MS + 50);
  });

  test('is kept by what goes with the bodies as well', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    await time.run(
      (async () => {
        for (let body = 0; body < 100; body++) await link.send(500, 'live', { overheadBytes: 500 });
      })(),
    );
    expect(time.elapsedMs).toBeGreaterThanOrEqual(99_500 / 20);
    expect(time.elapsedMs).toBeLessThan(5100);
  });

  test('makes bodies pay for what did not wait', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    link.linkBytes.up += 60_000;
    await time.run(link.send(1000, 'live'));
    expect(time.elapsedMs).toBeGreaterThanOrEqual(3050);
    expect(time.elapsedMs).toBeLessThan(3060);
  });

  test('gives live samples three quarters and backlog one while both wait', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    const live = keepSending(link, 'live', 3000, MINUTE_MS);
    const backlog = keepSending(link, 'backlog', 200_000, MINUTE_MS);
    await time.run(live);
    expect(link.sentBytes('live') / 20_000).toBeCloseTo(45, 0);
    expect(link.sentBytes('backlog') / 20_000).toBeCloseTo(15, 0);
    await time.run(backlog);
  });

  test('gives backlog its quarter at once after a time in which only backlog was sent', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    const backlog = keepSending(link, 'backlog', 200_000, 2 * MINUTE_MS);
    await time.run(clock.sleep(MINUTE_MS));
    const before = link.sentBytes('backlog');
    const live = keepSending(link, 'live', 100_000, 10_000);
    await time.run(clock.sleep(10_000));
    expect((link.sentBytes('backlog') - before) / 20_000).toBeCloseTo(2.5, 0);
    await time.run(Promise.all([live, backlog]));
  });

  test('gives backlog whatever live samples leave', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    const backlog = keepSending(link, 'backlog', 200_000, MINUTE_MS);
    const waits: number[] = [];
    const live = (async () => {
      while (time.elapsedMs < MINUTE_MS) {
        await clock.sleep(5000);
        const before = time.elapsedMs;
        await link.send(4000, 'live');
        waits.push(time.elapsedMs - before);
      }
    })();
    await time.run(Promise.all([live, backlog]));
    const bytes = link.sent.filter(({ atMs }) => atMs < clock.now() - time.elapsedMs + MINUTE_MS);
    const sum = bytes.reduce((total, part) => total + part.bytes, 0);
    expect(sum / 20_000).toBeCloseTo(60, 0);
    expect(waits).toHaveLength(12);
    // The part before, then two of its own, and a part of backlog for every three of them.
    expect(Math.max(...waits)).toBeLessThanOrEqual(400);
  });

  test('does not make a small live body wait for a large one', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    const large = link.send(200_000, 'live');
    await time.run(clock.sleep(1000));
    const before = time.elapsedMs;
    await time.run(link.send(1000, 'live'));
    expect(time.elapsedMs - before).toBeLessThanOrEqual(200);
    await time.run(large);
  });

  test('sends backlog body by body', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    const first = link.send(20_000, 'backlog');
    const second = link.send(20_000, 'backlog');
    await time.run(first);
    expect(time.elapsedMs).toBeLessThan(1010);
    await time.run(second);
    expect(time.elapsedMs).toBeGreaterThanOrEqual(2000);
  });

  test('goes on when the clock is set back, and gives nothing away when it is set forward', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    const sending = link.send(200_000, 'live');
    await time.run(clock.sleep(2000));
    clock.step(-HOUR_MS);
    await time.run(clock.sleep(2000));
    clock.step(24 * HOUR_MS);
    await time.run(sending);
    expect(time.elapsedMs).toBeGreaterThanOrEqual(9000);
    expect(time.elapsedMs).toBeLessThanOrEqual(10_300);
  });

  test('lets go of a body that is given up, and gives the others its turn', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    const giving = new AbortController();
    const first = link.send(400_000, 'backlog');
    const second = link.send(20_000, 'backlog', { signal: giving.signal });
    await time.run(clock.sleep(1000));
    expect(link.pacer.stats().waiting).toContainEqual({ traffic: 'backlog', hold: 'bandwidth' });
    giving.abort();
    expect(await time.run(second)).toBe(0);
    expect(await time.run(first)).toBe(400_000);
    expect(link.pacer.stats().waiting).toEqual([]);
  });

  test('does not send what is left of a body that was given up on the way', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    const giving = new AbortController();
    const sending = link.send(400_000, 'backlog', { signal: giving.signal });
    await time.run(clock.sleep(1010));
    giving.abort();
    expect(await time.run(sending)).toBe(20_000);
    expect(link.pacer.stats().waiting).toEqual([]);
  });

  test('is told by the statistics, as is who waits', async () => {
    const link = open({ bytesPerSecondMax: 20_000 });
    const sending = link.send(2000, 'live');
    await time.run(clock.sleep(50));
    expect(link.pacer.stats()).toEqual({
      isLimited: true,
      bytesPerSecondMax: 20_000,
      isBacklogOpen: true,
      waiting: [{ traffic: 'live', hold: 'bandwidth' }],
      quotas: [],
    });
    await time.run(sending);
    expect(link.pacer.stats().waiting).toEqual([]);
  });
});

test('without limits nothing waits', async () => {
  const link = open({});
  expect(link.pacer.isLimited).toBe(false);
  await time.run(link.send(10_000_000, 'backlog'));
  expect(time.elapsedMs).toBe(0);
});

describe('whatever is sent', () => {
  const body = fc.record({
    traffic: fc.constantFrom<Traffic>('live', 'backlog'),
    bytes: fc.integer({ min: 1, max: 60_000 }),
    overheadBytes: fc.integer({ min: 0, max: 2000 }),
    atMs: fc.integer({ min: 0, max: 20_000 }),
  });
  const seed = Number.parseInt(seedOfRun(), 16) | 0;

  test('no stretch of time carries more than the limit and a second’s worth', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2000, max: 200_000 }),
        fc.array(body, { minLength: 1, maxLength: 30 }),
        async (bytesPerSecondMax, bodies) => {
          time = new VirtualTime();
          clock = new WallClock(time, 1_800_000_000_000);
          const link = open({ bytesPerSecondMax });
          const sending = bodies.map(async ({ atMs, bytes, traffic }) => {
            await clock.sleep(atMs);
            expect(await link.send(bytes, traffic)).toBe(bytes);
          });
          await time.run(Promise.all(sending));
          expectWithin(link, bytesPerSecondMax);
        },
      ),
      { seed, numRuns: 100 },
    );
  });

  test('what was not asked for is made up for in the long run', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2000, max: 200_000 }),
        fc.array(body, { minLength: 1, maxLength: 30 }),
        async (bytesPerSecondMax, bodies) => {
          time = new VirtualTime();
          clock = new WallClock(time, 1_800_000_000_000);
          const link = open({ bytesPerSecondMax });
          const sending = bodies.map(({ bytes, traffic, overheadBytes }) =>
            link.send(bytes, traffic, { overheadBytes }),
          );
          await time.run(Promise.all(sending));
          // What comes with the last bodies is paid by the next.
          const debt = bodies.length * 2000;
          const allowed = (bytesPerSecondMax * (time.elapsedMs + 1000)) / 1000 + debt;
          expect(link.linkBytes.up).toBeLessThanOrEqual(allowed);
        },
      ),
      { seed, numRuns: 50 },
    );
  });

  test('neither traffic starves, however many bodies of whatever size wait', async () => {
    const sizes = fc.array(fc.integer({ min: 100, max: 100_000 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2000, max: 200_000 }),
        sizes,
        sizes,
        async (bytesPerSecondMax, live, backlog) => {
          time = new VirtualTime();
          clock = new WallClock(time, 1_800_000_000_000);
          const link = open({ bytesPerSecondMax });
          const ending = new AbortController();
          const { signal } = ending;
          const keep = async (bytes: number, traffic: Traffic) => {
            while (!signal.aborted) await link.send(bytes, traffic, { signal });
          };
          const loops = [
            ...live.map((bytes) => keep(bytes, 'live')),
            ...backlog.map((bytes) => keep(bytes, 'backlog')),
          ];
          await time.run(clock.sleep(20_000));
          const [ofLive, ofBacklog] = [link.sentBytes('live'), link.sentBytes('backlog')];
          ending.abort();
          await time.run(Promise.all(loops));
          const all = 20 * bytesPerSecondMax;
          const part = Math.max(1400, bytesPerSecondMax / 10);
          expect(ofLive + ofBacklog).toBeGreaterThan(all - 2 * part);
          expect(ofLive).toBeGreaterThan(0.75 * all - 4 * part);
          expect(ofBacklog).toBeGreaterThan(0.25 * all - 4 * part);
        },
      ),
      { seed, numRuns: 15 },
    );
  });

  /** For every stretch from one part to a later one. */
  function expectWithin({ sent }: PacedLink, bytesPerSecond: number): void {
    // The largest excess over the limit of a stretch that ends here: Kadane's sum.
    let excess = 0;
    let previousMs = sent[0]!.atMs;
    for (const { atMs, bytes } of sent) {
      excess = Math.max(0, excess - (bytesPerSecond * (atMs - previousMs)) / 1000) + bytes;
      previousMs = atMs;
      // Times are whole milliseconds.
      expect(excess).toBeLessThanOrEqual(bytesPerSecond * 1.001 + 1);
    }
  }
});
