import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { lockDataDir } from '../../base/sqlite/data-dir-lock.ts';
import type { KnownAgent } from '../../hub/receive/contracts.ts';
import type { Reply } from '../../hub/receive/reply.ts';
import { HubStore } from '../../hub/store/hub-store.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { Workspace } from '../tools/workspace.ts';
import {
  AGENT,
  AgentDouble,
  gist,
  RecordingDestination,
  type RunningReceiver,
  startReceiver,
} from './receive-fixture.ts';

let workspace: Workspace;
let dataDir: string;
let destination: RecordingDestination;
let hub: RunningReceiver;
let agent: AgentDouble;
let stream: bigint;
let position: number;

beforeEach(() => {
  workspace = new Workspace('store-running');
  dataDir = join(workspace.folder, 'hub');
  destination = new RecordingDestination();
  hub = startReceiver(dataDir, destination.post);
  hub.store.onBegunAnew(() => hub.receiver.storeLost());
  agent = new AgentDouble(1n);
  stream = 1n;
  position = 0;
});
afterEach(async () => {
  vi.restoreAllMocks();
  hub.kill();
  await workspace.close();
});

const file = (name: string) => join(dataDir, name);
const send = (frame: Uint8Array, from: KnownAgent = AGENT) =>
  hub.receiver.receive(from, frame, '192.0.2.1:5');

/** A new series with its first sample, in a stream of its own, as an agent opens it. */
function next(): { frame: Uint8Array; stored: string } {
  position++;
  const id = agent.series(`series_${position}`);
  const frame = agent.live(stream++, 0, [[id, position]], [position, position]);
  return { frame, stored: `overseas {__name__="series_${position}"}@${position}` };
}

/** Sends a batch as long as the hub puts it off; returns the replies. */
async function deliver(frame: Uint8Array): Promise<string[]> {
  const replies: string[] = [];
  for (let attempt = 0; attempt < 5; attempt++) {
    const reply = await send(frame);
    replies.push(gist(reply));
    if (reply.status !== 503) return replies;
    expect(reply.retryAfterSeconds).toBeGreaterThan(0);
  }
  return replies;
}

const ACCEPTED = '200 accepted 1 redelivered 0';
const textOf = ({ body }: Reply) => Buffer.from(body).toString();

describe('the files of a hub that runs', () => {
  const ways: [string, () => void][] = [
    ['hub.db deleted', () => rmSync(file('hub.db'))],
    ['the write-ahead log deleted', () => rmSync(file('hub.db-wal'))],
    ['data_dir removed', () => rmSync(dataDir, { recursive: true })],
    ['hub.db overwritten in place', () => writeFileSync(file('hub.db'), Buffer.alloc(20_000, 'x'))],
    ['hub.db cut to nothing', () => writeFileSync(file('hub.db'), '')],
    [
      'hub.db replaced by that of another hub',
      () => {
        const other = join(workspace.folder, 'other');
        const store = new HubStore(other, seededRandom('other'));
        store.setPositions('sg', '', [{ run: 1n, first: 1, last: 1000 }]);
        store.close();
        rmSync(file('hub.db'));
        writeFileSync(file('hub.db'), readFileSync(join(other, 'hub.db')));
      },
    ],
    [
      'a bit of the log flipped',
      () => {
        const bytes = readFileSync(file('hub.db-wal'));
        bytes[bytes.length - 100]! ^= 4;
        writeFileSync(file('hub.db-wal'), bytes);
      },
    ],
  ];

  test.each(ways)('%s: agents are put off once, and all of it goes on', async (_, harm) => {
    const first = next();
    expect(await deliver(first.frame)).toEqual([ACCEPTED]);
    hub.receiver.save();
    const { hub: id } = hub.store;
    harm();
    const second = next();
    expect(await deliver(second.frame)).toEqual(['503', ACCEPTED]);
    expect(hub.lines).toContain('store damaged');
    expect(hub.store.state).toMatchObject({ damagedFiles: 1, problem: undefined });
    hub.receiver.save();
    const third = next();
    expect(await deliver(third.frame)).toEqual([ACCEPTED]);
    expect(destination.stored).toEqual([first.stored, second.stored, third.stored]);
    hub.receiver.save();
    hub.kill();
    // What the hub knew when its files went is in the new ones.
    hub = startReceiver(dataDir, destination.post, {}, 'another seed');
    expect(hub.store.hub).toBe(id);
    expect(hub.store.runs('sg').current).toBe(1n);
    expect(hub.store.positions('sg')).toEqual([
      { tenant: '', range: { run: 1n, first: 1, last: 3 } },
    ]);
    expect([...hub.store.entries('sg')]).toHaveLength(3);
    expect(hub.store.state).toMatchObject({ damagedFiles: 0, damagedRows: 0 });
  });

  test('a folder that cannot be made again: agents are told what to do, until it can', async () => {
    await deliver(next().frame);
    rmSync(dataDir, { recursive: true });
    writeFileSync(dataDir, 'a file in its place');
    const { frame } = next();
    for (let attempt = 0; attempt < 3; attempt++) {
      const reply = await send(frame);
      expect(reply.status).toBe(503);
      expect(textOf(reply)).toMatch(/data_dir a folder that the hub can write to/);
    }
    expect(() => hub.receiver.save()).toThrow(/cannot use its database/);
    expect(hub.store.state.problem).toMatch(/data_dir/);
    rmSync(dataDir);
    expect(await deliver(frame)).toEqual(['503', ACCEPTED]);
    expect(hub.store.state.problem).toBeUndefined();
    expect(existsSync(file('hub.db'))).toBe(true);
  });

  test('data_dir removed and taken by another hub: this one waits, and locks it again', async () => {
    await deliver(next().frame);
    rmSync(dataDir, { recursive: true });
    mkdirSync(dataDir);
    const theirs = lockDataDir(dataDir, 'hub');
    const { frame } = next();
    expect((await send(frame)).status).toBe(503);
    expect(existsSync(file('hub.db'))).toBe(false);
    theirs.release();
    expect(await deliver(frame)).toContain(ACCEPTED);
    expect(() => lockDataDir(dataDir, 'hub')).toThrow(/another process/);
  });

  test('held by another process: agents are put off, and nothing is set aside', async () => {
    await deliver(next().frame);
    const other = new Database(file('hub.db'));
    other.exec('BEGIN IMMEDIATE');
    const { frame } = next();
    expect(textOf(await send(frame))).toMatch(/end whatever else uses the files/);
    other.exec('ROLLBACK');
    expect(await deliver(frame)).toEqual([ACCEPTED]);
    expect(hub.store.state.damagedFiles).toBe(0);
    other.close();
  });

  test.each([
    ['SQLITE_FULL', /free space/],
    ['SQLITE_IOERR_FSYNC', /check the disk/],
    ['SQLITE_READONLY', /a folder that the hub can write to/],
  ])('a disk that says %s puts off what needs it, and nothing else', async (code, words) => {
    await deliver(next().frame);
    const { transaction } = Database.prototype;
    const failing = vi.spyOn(Database.prototype, 'transaction').mockImplementation(() => {
      throw new Database.SqliteError('injected', code);
    });
    const { frame } = next();
    const reply = await send(frame);
    expect(reply.status).toBe(503);
    expect(textOf(reply)).toMatch(words);
    // A batch without new series needs no disk, and a restarted agent neither.
    const other = new AgentDouble(2n, agent.epoch);
    other.series('series_1');
    const known = other.live(900n, 0, [[0, 77]], [1, 1]);
    expect(gist(await send(known))).toBe(ACCEPTED);
    failing.mockImplementation(transaction);
    hub.receiver.save();
    expect(hub.store.runs('sg').current).toBe(2n);
    expect(hub.store.state).toMatchObject({ damagedFiles: 0, problem: undefined });
  });
});

describe('one thread for all agents', () => {
  const OTHERS = Array.from({ length: 30 }, (_, n) => ({
    id: `agent-${n}`,
    tenants: ['overseas'],
  }));

  test('the positions of all agents are saved with one commit', async () => {
    for (const [n, other] of OTHERS.entries()) {
      const double = new AgentDouble(BigInt(n) + 10n);
      const id = double.series('up');
      await send(double.live(5n, 0, [[id, 1]], [1, 1]), other);
    }
    const before = commits();
    hub.receiver.save();
    expect(commits()).toBe(before + 1);
    expect(OTHERS.map(({ id }) => hub.store.positions(id).length)).toEqual(OTHERS.map(() => 1));
    hub.receiver.save();
    expect(commits()).toBe(before + 1);
  });

  function commits(): number {
    const bytes = readFileSync(file('hub.db-wal'));
    const db = new Database(file('hub.db'), { readonly: true });
    const pageBytes = db.pragma('page_size', { simple: true }) as number;
    db.close();
    let count = 0;
    for (let at = 32; at < bytes.length; at += 24 + pageBytes) {
      if (bytes.readUInt32BE(at + 4) > 0) count++;
    }
    return count;
  }

  test('others are answered while the dictionary of one is read', async () => {
    const entries = Array.from({ length: 2000 }, (_, n) => {
      agent.series(`series_${n}`);
      return n;
    });
    await send(agent.dictionary());
    expect([...hub.store.entries('sg')]).toHaveLength(entries.length);
    hub.kill();
    hub = startReceiver(dataDir, destination.post);
    const answered: string[] = [];
    const heard = send(agent.heartbeat()).then(() => answered.push('large'));
    const small = new AgentDouble(9n);
    await send(small.heartbeat(), OTHERS[0]!);
    answered.push('small');
    await heard;
    expect(answered).toEqual(['small', 'large']);
    // A batch that waited for it finds all of it.
    const known = agent.live(7n, 0, [[1999, 5]], [1, 1], { dictionary: agent.part(2000) });
    expect(gist(await send(known))).toBe(ACCEPTED);
  });

  test('a dead epoch goes a part at a time, is gone for everybody, and may come again', () => {
    const { store } = hub;
    const many = Array.from({ length: 25_000 }, (_, n) => Buffer.from(`${n}`));
    store.addEntries('sg', 5n, 0, many);
    store.removeEpoch('sg', 5n);
    expect(left()).toBe(15_000);
    expect([...store.entries('sg')]).toEqual([]);
    store.tidy();
    expect(left()).toBe(5000);
    store.addEntries('sg', 5n, 0, [Buffer.from('again')]);
    store.tidy();
    expect([...store.entries('sg')].map(({ entry }) => `${entry}`)).toEqual(['again']);
    expect(left()).toBe(1);
  });

  function left(): number {
    const db = new Database(file('hub.db'), { readonly: true });
    const count = db.prepare('SELECT count(*) FROM entries').pluck().get() as number;
    db.close();
    return count;
  }
});
