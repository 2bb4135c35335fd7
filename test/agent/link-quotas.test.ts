import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LinkConfig, LinkQuota } from '../../agent/link-config.ts';
import { VirtualTime, WallClock } from '../sim/virtual-time.ts';
import { Workspace } from '../tools/workspace.ts';
import { PacedLink } from './link-fixture.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const day: LinkQuota = { period: 'day', bytesMax: 1_000_000, reserveBytes: 400_000 };
const month: LinkQuota = { period: 'month', bytesMax: 2_000_000, reserveBytes: 500_000 };

let workspace: Workspace;
let time: VirtualTime;
let clock: WallClock;
beforeEach(() => {
  workspace = new Workspace('link-quotas');
  time = new VirtualTime();
  clock = new WallClock(time, Date.parse('2026-11-05T20:00:00Z'));
});
afterEach(() => workspace.close());

function open(quotas: LinkQuota[], config: Partial<LinkConfig> = {}): PacedLink {
  return new PacedLink({ quotas, ...config }, workspace.folder, clock);
}

const usedOf = (link: PacedLink) => link.pacer.stats().quotas.map(({ usedBytes }) => usedBytes);

/** Whether a body gets through within a second. */
async function passes(link: PacedLink, ...body: Parameters<PacedLink['send']>): Promise<boolean> {
  const giving = new AbortController();
  const [bytes, traffic] = body;
  const sending = link.send(bytes, traffic, { signal: giving.signal });
  await time.run(clock.sleep(1000));
  giving.abort();
  return (await time.run(sending)) === bytes;
}

describe('a daily quota', () => {
  test('stops backlog at the reserve and live samples at the end', async () => {
    const link = open([day]);
    expect(await passes(link, 600_000, 'backlog')).toBe(true);
    expect(await passes(link, 1, 'backlog')).toBe(false);
    expect(await passes(link, 300_000, 'live')).toBe(true);
    expect(await passes(link, 100_001, 'live')).toBe(false);
    expect(await passes(link, 100_000, 'live')).toBe(true);
    expect(await passes(link, 1, 'live')).toBe(false);
    expect(usedOf(link)).toEqual([1_000_000]);
  });

  test('counts what comes back, and what nobody asked for', async () => {
    const link = open([day]);
    link.linkBytes.down += 500_000;
    link.linkBytes.up += 100_000;
    expect(await passes(link, 1, 'backlog')).toBe(false);
    link.pacer.housekeep();
    expect(usedOf(link)).toEqual([600_000]);
  });

  test('lets backlog and live samples go by itself at midnight of the time zone', async () => {
    const link = open([day], { timeZone: 'Asia/Hong_Kong' });
    link.linkBytes.up += 1_000_000;
    const sending = [link.send(1000, 'backlog'), link.send(1000, 'live')];
    await time.run(clock.sleep(1000));
    expect(link.pacer.stats()).toMatchObject({
      waiting: [
        { traffic: 'backlog', hold: 'daily_quota' },
        { traffic: 'live', hold: 'daily_quota' },
      ],
      quotas: [{ usedBytes: 1_000_000, resetsAtMs: Date.parse('2026-11-06T16:00:00Z') }],
    });
    await time.run(Promise.all(sending));
    expect(new Date(clock.now())).toEqual(new Date('2026-11-06T16:00:00Z'));
    link.pacer.housekeep();
    expect(usedOf(link)).toEqual([2000]);
  });

  test('is not exceeded by bodies that begin together', async () => {
    const link = open([day], { bytesPerSecondMax: 20_000 });
    const giving = new AbortController();
    const { signal } = giving;
    const sending = [1, 2, 3].map(() => link.send(250_000, 'backlog', { signal }));
    await time.run(clock.sleep(HOUR_MS));
    giving.abort();
    expect(await time.run(Promise.all(sending))).toEqual([250_000, 250_000, 0]);
  });

  test('has room again for what a body did not send that was given up', async () => {
    const link = open([day], { bytesPerSecondMax: 20_000 });
    const giving = new AbortController();
    const sending = link.send(500_000, 'backlog', { signal: giving.signal });
    await time.run(clock.sleep(1000));
    expect(await passes(link, 200_000, 'backlog')).toBe(false);
    giving.abort();
    await time.run(sending);
    expect(await time.run(link.send(500_000, 'backlog'))).toBe(500_000);
    expect(time.elapsedMs).toBeLessThan(30_000);
  });

  test('takes a body larger than half of it while half is left', async () => {
    const link = open([day]);
    link.linkBytes.up += 200;
    expect(await passes(link, 2_000_000, 'live')).toBe(true);
    const other = open([{ ...day, reserveBytes: 1_000_000 }]);
    expect(await passes(other, 1, 'backlog')).toBe(false);
  });

  test('says once a day and traffic what waits for which quota and until when', async () => {
    const link = open([day]);
    link.linkBytes.up += 700_000;
    for (const bytes of [10, 20]) expect(await passes(link, bytes, 'backlog')).toBe(false);
    expect(link.lines).toEqual([
      expect.objectContaining({
        quota: 'link.daily_quota',
        waits: 'backlog',
        usedBytes: 700_000,
        quotaBytes: 1_000_000,
        liveReserveBytes: 400_000,
        resets: '2026-11-06T00:00:00.000Z',
        msg: 'a quota of the link is used up: samples wait in the buffer until it resets',
      }),
    ]);
    link.linkBytes.up += 300_000;
    expect(await passes(link, 10, 'live')).toBe(false);
    expect(link.lines[1]).toMatchObject({ waits: 'live', usedBytes: 1_000_000 });
    await time.run(clock.sleep(DAY_MS));
    link.linkBytes.up += 700_000;
    expect(await passes(link, 10, 'backlog')).toBe(false);
    expect(link.lines).toHaveLength(3);
  });
});

test('a monthly quota outlasts the day, and the month does not', async () => {
  const link = open([day, month]);
  for (const used of [900_000, 600_000]) {
    link.linkBytes.up += used;
    link.pacer.housekeep();
    await time.run(clock.sleep(DAY_MS));
  }
  expect(usedOf(link)).toEqual([0, 1_500_000]);
  const backlog = link.send(1000, 'backlog');
  await time.run(clock.sleep(1000));
  expect(link.pacer.stats().waiting).toEqual([{ traffic: 'backlog', hold: 'monthly_quota' }]);
  expect(await passes(link, 1000, 'live')).toBe(true);
  await time.run(backlog);
  expect(new Date(clock.now())).toEqual(new Date('2026-12-01T00:00:00Z'));
});

describe('what was used', () => {
  const path = () => join(workspace.folder, 'link-usage.jsonl');

  test('outlives a restart, day and month each', async () => {
    const link = open([day, month]);
    link.linkBytes.up += 123_456;
    link.pacer.housekeep();
    expect(usedOf(open([day, month]))).toEqual([123_456, 123_456]);
    expect(readFileSync(path(), 'utf8')).toBe(
      '{"period":"2026-11-05","bytes":123456}\n{"period":"2026-11","bytes":123456}\n',
    );
    expect(link.lines).toEqual([]);
  });

  test('is what can be read of a file that was cut off, and a line says so', async () => {
    const link = open([day, month]);
    link.linkBytes.up += 123_456;
    link.pacer.housekeep();
    writeFileSync(path(), readFileSync(path(), 'utf8').slice(0, -5));
    const restarted = open([day, month]);
    expect(usedOf(restarted)).toEqual([123_456, 0]);
    expect(restarted.lines).toEqual([
      expect.objectContaining({
        counted: { '2026-11-05': 123_456 },
        msg: 'what was used of the quotas of the link cannot be read: counted is what can be read',
      }),
    ]);
  });

  test.each(['', '\0\0\0', '{"period":"2026-11-05","bytes":-5}', '[]'])(
    'is nothing where the file says %j, and a line says so',
    (text) => {
      writeFileSync(path(), text);
      const link = open([day]);
      expect(usedOf(link)).toEqual([0]);
      expect(link.lines).toHaveLength(1);
    },
  );

  test('is found again by a clock that was far away in between', async () => {
    const link = open([day, month]);
    link.linkBytes.up += 700_000;
    link.pacer.housekeep();
    // A machine that starts before its clock is set.
    const awayMs = Date.parse('2000-01-01T00:00:00Z') - clock.now();
    clock.step(awayMs);
    const early = open([day, month]);
    expect(await passes(early, 1000, 'backlog')).toBe(true);
    early.pacer.housekeep();
    expect(usedOf(early)).toEqual([1000, 1000]);
    clock.step(-awayMs);
    expect(usedOf(early)).toEqual([700_000, 700_000]);
    expect(await passes(early, 1000, 'backlog')).toBe(false);
  });

  test('does not stop the link when the clock is set back to another day', async () => {
    const link = open([day]);
    link.linkBytes.up += 1_000_000;
    const sending = link.send(1000, 'live');
    await time.run(clock.sleep(1000));
    clock.step(-2 * DAY_MS);
    await time.run(sending);
    expect(time.elapsedMs).toBeLessThan(62_000);
  });

  test('is of no interest to a link without quotas', () => {
    const link = open([]);
    link.linkBytes.up += 1000;
    link.pacer.housekeep();
    expect(() => readFileSync(path())).toThrow('ENOENT');
  });

  test('remembers a few days only', async () => {
    const link = open([day]);
    for (let passed = 0; passed < 20; passed++) {
      link.linkBytes.up += 1000;
      link.pacer.housekeep();
      await time.run(clock.sleep(DAY_MS));
    }
    expect(readFileSync(path(), 'utf8').split('\n')).toHaveLength(9);
  });
});
