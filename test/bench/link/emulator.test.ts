import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LinkStep, WayCounts } from '../../../bench/link/bad-link.ts';

const program = fileURLToPath(new URL('../../../bench/link/emulator.py', import.meta.url));

type Packet = [seconds: number, way: 0 | 1, bytes: number, isSyn?: boolean];

interface Replayed {
  deliveries: [seconds: number, way: number, packet: number][];
  ways: [WayCounts, WayCounts];
}

/** One for all tests: Python takes longer to start than they do. */
let python: ChildProcessByStdio<Writable, Readable, null>;
let answers: Interface;

beforeAll(() => {
  python = spawn('python3', [program, '--replay'], { stdio: ['pipe', 'pipe', 'inherit'] });
  answers = createInterface(python.stdout);
});

afterAll(() => void python.stdin.end());

/** The emulator on virtual time, which needs neither root nor devices. */
async function replay(
  steps: LinkStep[],
  packets: Packet[],
  { seed = 1, until = 10_000 }: { seed?: number; until?: number } = {},
): Promise<Replayed> {
  const answered = new Promise<string>((resolve, reject) => {
    answers.once('line', resolve);
    answers.once('close', () => reject(new Error('python3 has ended')));
  });
  const sent = packets.map(([at, way, bytes, isSyn = false]) => [at, way, bytes, isSyn]);
  python.stdin.write(`${JSON.stringify({ seed, steps, packets: sent, until })}\n`);
  return JSON.parse(await answered) as Replayed;
}

/** `count` packets of 100 bytes, one a second. */
function trickle(count: number, way: 0 | 1 = 0): Packet[] {
  return Array.from({ length: count }, (_, at) => [at, way, 100]);
}

test('packets wait for each other, then for the delay; the directions do not touch', async () => {
  const { deliveries, ways } = await replay(
    [[0, { rate: 8000, delay: 0.5, queue: 10_000 }]],
    [
      [0, 0, 1000],
      [0, 0, 500, true],
      [0.2, 1, 100],
    ],
  );
  expect(deliveries.toSorted(([one], [other]) => one - other)).toEqual([
    [0.8, 1, 2],
    [1.5, 0, 0],
    [2, 0, 1],
  ]);
  expect(ways[0]).toEqual({
    ...{ offered: 2, cut: 0, overflowed: 0, packets: 2, bytes: 1500 },
    ...{ lost: 0, delivered: 2, syns: 1 },
  });
  expect(ways[1]).toMatchObject({ offered: 1, packets: 1, bytes: 100, delivered: 1, syns: 0 });
});

test('a queue takes so many bytes, and more once some are sent', async () => {
  const { deliveries, ways } = await replay(
    [[0, { rate: 8000, queue: 2000 }]],
    [
      [0, 0, 1000],
      [0, 0, 1000],
      [0, 0, 40],
      [0.9, 0, 1000],
      [1, 0, 1000],
    ],
  );
  expect(deliveries.map(([, , packet]) => packet)).toEqual([0, 1, 4]);
  expect(ways[0]).toMatchObject({ offered: 5, overflowed: 2, packets: 3, bytes: 3000 });
});

test('a cut takes what is in the queue, in the air or comes meanwhile; only bytes sent count', async () => {
  const { deliveries, ways } = await replay(
    [
      [0, { rate: 8000, delay: 1, queue: 10_000 }],
      [2.5, { up: false }],
      [2.6, { up: true }],
    ],
    [
      [0, 0, 1000],
      [0, 0, 1000],
      [0, 0, 1000],
      [2.55, 0, 1000],
      [2.6, 0, 1000],
    ],
  );
  // The first is there after two seconds, the second in the air, the third half sent, and the
  // link is free for the last one as soon as it is back.
  expect(deliveries).toEqual([
    [2, 0, 0],
    [4.6, 0, 4],
  ]);
  expect(ways[0]).toEqual({
    ...{ offered: 5, cut: 3, overflowed: 0, packets: 3, bytes: 3000 },
    ...{ lost: 0, delivered: 2, syns: 0 },
  });
});

test('packets are lost in bursts, as many of them and as long as is said, and bytes count', async () => {
  const packets = [...trickle(6000, 0), ...trickle(6000, 1)];
  packets.sort(([one], [other]) => one - other);
  const { deliveries, ways } = await replay([[0, { loss: 0.05, burst: 4 }]], packets, {
    until: 7000,
  });
  for (const way of [0, 1] as const) {
    const { packets: sent, bytes, lost, delivered } = ways[way];
    expect({ sent, bytes, all: lost + delivered }).toEqual({
      ...{ sent: 6000, bytes: 600_000, all: 6000 },
    });
    expect(lost / sent).toBeGreaterThan(0.035);
    expect(lost / sent).toBeLessThan(0.065);
    const times = deliveries.filter((one) => one[1] === way).map(([at]) => Math.floor(at));
    const bursts = times.filter((at, index) => index > 0 && at - times[index - 1]! > 1).length;
    expect(lost / bursts).toBeGreaterThan(3);
    expect(lost / bursts).toBeLessThan(5);
  }
  expect(ways[0].lost).not.toBe(ways[1].lost);
});

test('fades take their share of the time, from both directions at once', async () => {
  const both = Array.from({ length: 6000 }, (_, at): Packet => [at / 10, (at % 2) as 0 | 1, 40]);
  const { ways, deliveries } = await replay([[0, { fade_share: 0.1, fade: 2 }]], both, {
    until: 3000,
  });
  const lost = ways[0].lost + ways[1].lost;
  expect(lost / 6000).toBeGreaterThan(0.06);
  expect(lost / 6000).toBeLessThan(0.15);
  const arrived = new Set(deliveries.map(([, , packet]) => packet));
  const differing = Array.from({ length: 3000 }, (_, at) => at * 2).filter(
    (packet) => arrived.has(packet) !== arrived.has(packet + 1),
  );
  // A neighbour's fate differs only at the edge of a fade.
  expect(differing.length).toBeLessThan(lost / 5);
});

test('a seed decides what is lost', async () => {
  const steps: LinkStep[] = [[0, { loss: 0.3, burst: 2 }]];
  const one = await replay(steps, trickle(200), { seed: 5 });
  expect(await replay(steps, trickle(200), { seed: 5 })).toEqual(one);
  expect((await replay(steps, trickle(200), { seed: 6 })).deliveries).not.toEqual(one.deliveries);
});
