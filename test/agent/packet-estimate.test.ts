import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LinkBytes } from '../../agent/ship/link-bytes.ts';
import { PacketEstimate } from '../../agent/ship/packet-estimate.ts';
import { until } from '../tools/until.ts';

const PATIENCE_MS = 5000;

describe('the estimate of a connection', () => {
  const bytes = ({ up, down }: PacketEstimate) => [up, down];

  test.each([
    ['IPv4', 60, 52],
    ['IPv6', 80, 72],
  ] as const)(
    'over %s has packets that open it, carry it, acknowledge and end it',
    (family, opening, header) => {
      const estimate = new PacketEstimate();
      estimate.opened(family, 0);
      expect(bytes(estimate)).toEqual([opening + header, opening]);
      // A packet each, and an acknowledgement each.
      estimate.look(300, 100, 1000);
      const [up, down] = [opening + header + 300 + 2 * header, opening + 100 + 2 * header];
      expect(bytes(estimate)).toEqual([up, down]);
      // Three packets and two acknowledgements.
      estimate.look(300 + 3 * (1500 - header), 100, 2000);
      expect(bytes(estimate)).toEqual([up + 3 * 1500, down + 2 * header]);
      estimate.closed();
      expect(bytes(estimate)).toEqual([up + 3 * 1500 + 2 * header, down + 3 * header]);
    },
  );

  test('takes what is carried between two looks as sent at once', () => {
    const [one, other] = [new PacketEstimate(), new PacketEstimate()];
    for (const estimate of [one, other]) estimate.opened('IPv4', 0);
    for (let part = 1; part <= 10; part++) one.look(100 * part, 0, part);
    other.look(1000, 0, 10);
    expect(one.up - other.up).toBe(9 * 52);
    expect(one.down - other.down).toBe(9 * 52);
  });

  test('has a probe and its answer for each minute in which nothing moves', () => {
    const estimate = new PacketEstimate();
    estimate.opened('IPv4', 0);
    estimate.look(100, 0, 30_000);
    const [up, down] = bytes(estimate);
    for (const nowMs of [80_000, 89_999]) estimate.look(100, 0, nowMs);
    expect(bytes(estimate)).toEqual([up, down]);
    for (const nowMs of [90_000, 100_000]) estimate.look(100, 0, nowMs);
    expect(bytes(estimate)).toEqual([up! + 52, down! + 52]);
    estimate.look(100, 0, 151_000);
    expect(bytes(estimate)).toEqual([up! + 2 * 52, down! + 2 * 52]);
    estimate.look(200, 0, 200_000);
    estimate.look(200, 0, 259_000);
    expect(bytes(estimate)).toEqual([up! + 3 * 52 + 100, down! + 3 * 52]);
    estimate.look(200, 0, 261_000);
    expect(bytes(estimate)).toEqual([up! + 4 * 52 + 100, down! + 4 * 52]);
  });

  test('is nothing while nobody answers', () => {
    const estimate = new PacketEstimate();
    estimate.look(0, 0, 600_000);
    estimate.closed();
    expect(bytes(estimate)).toEqual([0, 0]);
  });
});

describe('the link', () => {
  let server: Server;
  const accepted: Socket[] = [];
  let elapsedMs = 0;
  beforeEach(async () => {
    elapsedMs = 0;
    server = createServer((socket) => void accepted.push(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    for (const socket of accepted.splice(0)) socket.destroy();
    server.close();
  });

  async function open(link: LinkBytes): Promise<Socket> {
    const { port } = server.address() as AddressInfo;
    const socket = connect({ port, host: '127.0.0.1' });
    link.count(socket);
    await once(socket, 'connect');
    return socket;
  }
  const sum = ({ up, down }: { up: number; down: number }) => up + down;

  test('counts each connection by its clock, and keeps what closed ones have cost', async () => {
    const link = new LinkBytes(1, () => elapsedMs);
    const socket = await open(link);
    expect([link.ip.up, link.ip.down]).toEqual([112, 60]);
    socket.write(Buffer.alloc(1000));
    expect([link.ip.up, link.ip.down]).toEqual([112 + 1052, 60 + 52]);
    elapsedMs += 60_000;
    expect([link.ip.up, link.ip.down]).toEqual([112 + 1052 + 52, 60 + 52 + 52]);
    socket.write(Buffer.alloc(100));
    socket.destroy();
    await once(socket, 'close');
    expect([link.ip.up, link.ip.down]).toEqual([1216 + 152 + 104, 164 + 52 + 52]);
    expect(link.up).toBe(1100);
  });

  test('counts times the factor, in whole bytes', async () => {
    const link = new LinkBytes(1.333, () => elapsedMs);
    await open(link);
    expect([link.ip.up, link.ip.down]).toEqual([149, 80]);
    expect(sum(link)).toBe(0);
  });

  test('counts what was refused, and nothing of what nobody answers', async () => {
    const link = new LinkBytes(1, () => elapsedMs);
    const { port } = server.address() as AddressInfo;
    server.close();
    const refused = connect({ port, host: '127.0.0.1' });
    link.count(refused);
    refused.on('error', () => {});
    await until('the refusal', PATIENCE_MS, () => refused.closed);
    expect([link.ip.up, link.ip.down]).toEqual([60, 40]);
    const unheard = new Socket();
    link.count(unheard);
    const timeout = Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' });
    unheard.emit('connectionAttemptFailed', '127.0.0.1', port, 4, timeout);
    elapsedMs += 600_000;
    unheard.destroy();
    await until('its end', PATIENCE_MS, () => unheard.closed);
    expect(sum(link.ip)).toBe(100);
  });
});
