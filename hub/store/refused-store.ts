import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import Database from 'better-sqlite3';
import { makeDurable } from '../../base/sqlite/durable.ts';
import { isUnknownFormat } from '../../base/sqlite/file-format.ts';
import type { DescribedRequest, KeptRequest, RefusedTotal } from '../refused-request.ts';
import { prepareSchema, REFUSED_VERSION } from './refused-schema.ts';
import { rowChecksum } from './row-checksum.ts';
import { isDamage } from './store-fault.ts';
import { refuseNewer } from './store-version.ts';

/**
 * How long a write waits for another process, which holds the database for one commit when it is a
 * replay. The hub does nothing else meanwhile, so it rather gives the record up.
 */
const HUB_BUSY_MS = 200;
const REPLAY_BUSY_MS = 10_000;
/** What a row and its place in the index take beside its texts and its body. */
const ROW_BYTES = 200;
/** Records removed, and pages of 4 KiB given back, at once: the hub's other work must not wait. */
const REMOVED_AT_ONCE_MAX = 1000;
const SHRINK_PAGES = 4096;
const WAL_BYTES_MAX = 4 * 1024 * 1024;

/** Which records are meant; what is absent restricts nothing. */
export interface RefusedFilter {
  id?: number | undefined;
  agent?: string | undefined;
  tenant?: string | undefined;
  /** `unknown`: whatever holds samples of which nothing is known. */
  reason?: string | undefined;
  /** Recorded at this time or later, in ms. */
  sinceMs?: number | undefined;
}

/** Records of one agent and tenant that were refused for the same reason in the same words. */
export interface RefusedGroup {
  agent: string;
  tenant: string;
  reason: string;
  messageGroup: string;
  records: number;
  refused: number;
  unknown: number;
  bytes: number;
  /** Timestamps of the samples, in ms. */
  oldest: number;
  newest: number;
  firstRecordedAtMs: number;
  lastRecordedAtMs: number;
  /** The record that came last. */
  lastId: number;
}

/**
 * The one file that speaks SQL to the record of refused samples. It has a database of its own, so
 * that no command that looks at it can hold up what the hub needs for delivery, and so that it can
 * be deleted at any time.
 */
export class RefusedStore {
  readonly #db: Database.Database;
  readonly #bytesMax: number;
  readonly #statements;
  readonly #inode: bigint | undefined;

  /** Opens or creates the database; `busyMs`: how long a write waits for another process. */
  constructor(path: string, { bytesMax, busyMs }: { bytesMax: number; busyMs: number }) {
    this.#bytesMax = bytesMax;
    this.#db = new Database(path, { timeout: busyMs });
    try {
      refuseNewer(this.#db, REFUSED_VERSION, 'and with it what was kept of refused samples');
      this.#db.pragma('auto_vacuum = INCREMENTAL');
      makeDurable(this.#db);
      this.#db.pragma(`journal_size_limit = ${WAL_BYTES_MAX}`);
      prepareSchema(this.#db);
      this.#statements = prepare(this.#db);
      this.#inode = inodeOf(path);
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  /** Adds records; returns how many have no room, the oldest first. Durable when it returns. */
  add(records: readonly DescribedRequest[]): number {
    return this.#db.transaction(() => this.#insert(records)).immediate();
  }

  /** Puts what is left of a record in its place, the first part under its id; nothing removes it. */
  replace(id: number, rest: readonly DescribedRequest[]): void {
    this.#db
      .transaction(() => {
        this.#statements.remove.run(id);
        this.#insert(rest, id);
      })
      .immediate();
  }

  /** Removes some of what was recorded before `atMs`; returns how many records that were. */
  removeBefore(atMs: number): number {
    return this.#statements.removeBefore.run(atMs, REMOVED_AT_ONCE_MAX).changes;
  }

  /** Gives some of the free pages back to the file system. */
  shrink(): void {
    this.#db.pragma(`incremental_vacuum(${SHRINK_PAGES})`);
  }

  totals(): RefusedTotal[] {
    return this.#statements.totals.all() as RefusedTotal[];
  }

  /** The group with the latest record first. */
  groups(filter: RefusedFilter): RefusedGroup[] {
    return this.#statements.groups.all(parametersOf(filter)) as RefusedGroup[];
  }

  /** Ids of records, those with the oldest samples first. */
  ids(filter: RefusedFilter): number[] {
    return this.#statements.ids.all(parametersOf(filter)) as number[];
  }

  get(id: number): KeptRequest | undefined {
    const row = this.#statements.get.get(id) as RefusedRow | undefined;
    if (row === undefined) return undefined;
    const { rowCrc, ...columns } = row;
    return { ...columns, examples: examplesOf(row), isIntact: isIntact(row) };
  }

  /** False once somebody has deleted or replaced the file: what is written goes nowhere. */
  isInPlace(): boolean {
    return this.#inode !== undefined && inodeOf(this.#db.name) === this.#inode;
  }

  close(): void {
    this.#db.close();
  }

  /** @param firstId of the first record; without it, ids are new */
  #insert(records: readonly DescribedRequest[], firstId: number | null = null): number {
    let removed = 0;
    for (const [index, record] of records.entries()) {
      const row = { ...record, examples: JSON.stringify(record.examples) };
      const bytes = bytesOf(row);
      if (bytes > this.#bytesMax) removed++;
      else {
        const id = index === 0 ? firstId : null;
        const whole = { ...row, bytes };
        const crcs = { crc: checksum(row), rowCrc: wholeChecksum(whole) };
        this.#statements.add.run({ ...whole, ...crcs, id });
      }
    }
    // Far too much is there only after the limit was lowered: then it shrinks with every addition.
    for (let n = 0; n < REMOVED_AT_ONCE_MAX && this.#bytes() > this.#bytesMax; n++) {
      removed += this.#statements.removeOldest.run().changes;
    }
    return removed;
  }

  #bytes(): number {
    return this.#statements.bytes.get() as number;
  }
}

/** Where the record lies in the hub's data_dir. */
export function refusedFile(dataDir: string): string {
  return join(dataDir, 'refused.db');
}

/** Opens the record for the hub that writes it, and makes data_dir when it is not there. */
export function openRefusedStore(dataDir: string, bytesMax: number): RefusedStore {
  mkdirSync(dataDir, { recursive: true });
  return new RefusedStore(refusedFile(dataDir), { bytesMax, busyMs: HUB_BUSY_MS });
}

/** Opens the record that a hub, running or not, has left; undefined when there is none. */
export function visitRefusedStore(dataDir: string, bytesMax: number): RefusedStore | undefined {
  const path = refusedFile(dataDir);
  if (!existsSync(path)) return undefined;
  return new RefusedStore(path, { bytesMax, busyMs: REPLAY_BUSY_MS });
}

/**
 * Puts a database that `error` says is damaged out of the way, in place of an earlier one: the next
 * one begins empty. Never throws: where that cannot be done, opening it fails again and says why.
 */
export function setDamagedAside(dataDir: string, error: unknown): void {
  const path = refusedFile(dataDir);
  try {
    if (!isDamage(error) && !isUnknownFormat(error, path)) return;
    renameSync(path, `${path}.damaged`);
    for (const rest of ['-wal', '-shm']) rmSync(path + rest, { force: true });
  } catch {
    // A disk on which nothing can be renamed.
  }
}

interface RefusedRow extends Omit<DescribedRequest, 'examples'> {
  id: number;
  examples: string;
  bytes: number;
  crc: number;
  /** Absent in records of version 0. */
  rowCrc: number | null;
}

function bytesOf(row: Omit<RefusedRow, 'id' | 'bytes' | 'crc' | 'rowCrc'>): number {
  const texts = [row.agent, row.tenant, row.reason, row.message, row.messageGroup, row.examples];
  const textBytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  return ROW_BYTES + textBytes + row.body.length;
}

/** Over what decides which samples go where: snappy has none, and SQLite does not look into blobs. */
function checksum({ tenant, body }: { tenant: string; body: Uint8Array }): number {
  return crc32(body, crc32(tenant));
}

/** What a replay relies on; that a row has come to stand under another id harms nobody. */
function wholeChecksum(row: Omit<RefusedRow, 'id' | 'crc' | 'rowCrc'>): number {
  const { recordedAtMs, agent, tenant, reason, message, messageGroup, examples, body } = row;
  const texts = [agent, tenant, reason, message, messageGroup, examples];
  const numbers = [recordedAtMs, row.refused, row.unknown, row.oldest, row.newest, row.bytes];
  return rowChecksum('refused', [...texts, ...numbers, body]);
}

function isIntact(row: RefusedRow): boolean {
  if (checksum(row) !== row.crc) return false;
  return row.rowCrc === null || wholeChecksum(row) === row.rowCrc;
}

/** None where the row is damaged. */
function examplesOf(row: RefusedRow): string[] {
  return isIntact(row) ? JSON.parse(row.examples) : [];
}

function inodeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

function parametersOf({ id, agent, tenant, reason, sinceMs }: RefusedFilter) {
  return {
    id: id ?? null,
    agent: agent ?? null,
    tenant: tenant ?? null,
    reason: reason ?? null,
    sinceMs: sinceMs ?? null,
  };
}

const MATCHES =
  '(:id IS NULL OR id = :id) AND (:agent IS NULL OR agent = :agent) AND ' +
  '(:tenant IS NULL OR tenant = :tenant) AND ' +
  "(:reason IS NULL OR reason = :reason OR (:reason = 'unknown' AND doubtful > 0)) AND " +
  '(:sinceMs IS NULL OR recorded_at >= :sinceMs)';

function prepare(db: Database.Database) {
  const sql = (text: string): Database.Statement<unknown[]> => db.prepare(text);
  return {
    add: sql(
      'INSERT INTO refused (id, recorded_at, agent, tenant, reason, message, message_group, refused, ' +
        'doubtful, oldest, newest, examples, bytes, crc, body, row_crc) VALUES (:id, :recordedAtMs, :agent, ' +
        ':tenant, :reason, :message, :messageGroup, :refused, :unknown, :oldest, :newest, ' +
        ':examples, :bytes, :crc, :body, :rowCrc)',
    ),
    remove: sql('DELETE FROM refused WHERE id = ?'),
    removeOldest: sql(
      'DELETE FROM refused WHERE id = (SELECT id FROM refused ORDER BY recorded_at, id LIMIT 1)',
    ),
    removeBefore: sql(
      'DELETE FROM refused WHERE id IN ' +
        '(SELECT id FROM refused WHERE recorded_at < ? ORDER BY recorded_at, id LIMIT ?)',
    ),
    bytes: sql('SELECT coalesce(sum(bytes), 0) FROM totals').pluck(),
    totals: sql(
      'SELECT reason, records, refused, doubtful AS unknown, bytes FROM totals ' +
        'WHERE records > 0 ORDER BY reason',
    ),
    groups: sql(
      'SELECT agent, tenant, reason, message_group AS messageGroup, count(*) AS records, ' +
        'sum(refused) AS refused, sum(doubtful) AS unknown, sum(bytes) AS bytes, ' +
        'min(oldest) AS oldest, max(newest) AS newest, min(recorded_at) AS firstRecordedAtMs, ' +
        'max(recorded_at) AS lastRecordedAtMs, max(id) AS lastId ' +
        `FROM refused WHERE ${MATCHES} GROUP BY agent, tenant, reason, message_group ` +
        'ORDER BY lastRecordedAtMs DESC, lastId DESC',
    ),
    ids: sql(`SELECT id FROM refused WHERE ${MATCHES} ORDER BY oldest, id`).pluck(),
    get: sql(
      'SELECT id, recorded_at AS recordedAtMs, agent, tenant, reason, message, ' +
        'message_group AS messageGroup, refused, doubtful AS unknown, oldest, newest, examples, bytes, crc, ' +
        'body, row_crc AS rowCrc ' +
        'FROM refused WHERE id = ?',
    ),
  };
}
