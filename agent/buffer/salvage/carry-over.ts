import type { Random } from '../../../base/random.ts';
import { DecodeError } from '../../../proto/bytes.ts';
import { CHAIN_START, extendChain } from '../../../proto/hash-chain.ts';
import { SampleColumns } from '../../../proto/sample-columns.ts';
import { decodeSegment, encodeSegment } from '../../../proto/segment.ts';
import { timeRange } from '../../../proto/time-range.ts';
import { FrameError } from '../../../proto/zstd.ts';
import type { BufferDatabase } from '../database.ts';
import { isDiskFull } from '../disk-fault.ts';
import { hex } from '../hex.ts';
import type { LostSegment } from '../losses.ts';
import type { PackRow } from '../pack-table.ts';
import { lostPack } from '../packs.ts';
import type { SegmentRow } from '../segment-table.ts';
import { UNDATED } from '../storage-dates.ts';
import type { BufferImage } from './buffer-image.ts';
import { packWithNames } from './carry-packs.ts';
import { type FoundPack, positionsOf } from './found-packs.ts';
import type { Position } from './positions.ts';
import { RescuedLog } from './rescued-log.ts';
import { storedInOrder } from './stored-order.ts';

/** Rows of one commit: a crash in the middle means to begin again anyway. */
const ROWS_AT_ONCE = 64;

export interface CarriedOver {
  /** Packs are counted as the segments in them. */
  segments: number;
  samples: number;
  /** Every position that is accounted for by now, with the samples it had before. */
  settled: { tenant: string; run: string; sequence: number; samples: number }[];
  /** Packs whose body is damaged. */
  unreadablePacks: LostSegment[];
  /** Positions of which no intact row was found, as far as the best of them can be believed. */
  unreadable: Position[];
  /** Samples whose series is lost with an entry of the dictionary. */
  nameless: LostSegment[];
  /** Segments that did not fit on the disk. */
  leftBehind: LostSegment[];
}

export interface CarryOverOptions {
  /** Whether a segment waits as far as the witness knows. */
  isExpected(position: { tenant: string; run: string; sequence: number }): boolean;
  /** Whether there is room for more. */
  hasRoom(): boolean;
  random: Random;
}

/**
 * Fills a new database with everything of an image that checksums and hash chains vouch for: the
 * segments under their positions and in their order, and the dictionary logs they refer to. Then a
 * new epoch begins: how many entries the last log has lost nobody can say, and no id may be given
 * out twice.
 */
export function carryOver(
  image: BufferImage,
  target: BufferDatabase,
  options: CarryOverOptions,
): CarriedOver {
  const stored = storedInOrder(image, options.isExpected);
  const result: CarriedOver = {
    segments: 0,
    samples: 0,
    settled: [],
    unreadable: [],
    unreadablePacks: [],
    nameless: [],
    leftBehind: [],
  };
  const rows = stored.flatMap((one): { epoch: number }[] => ('key' in one ? [one] : one.rows));
  const logs = writeLogs(image, target, options.hasRoom() ? rows : [], options.random);
  const groups = grouped(stored);
  for (const [index, group] of groups.entries()) {
    const isCarried =
      options.hasRoom() &&
      ('key' in group
        ? carryPack(image, target, logs, group, result)
        : carryGroup(image, target, logs, group, result));
    if (isCarried) continue;
    for (const rest of groups.slice(index)) leaveBehind(rest, result);
    break;
  }
  target.logs.addEpoch(options.random.id64());
  return result;
}

/** Segments to be carried over in one commit, or one pack. */
type Group = Position[] | FoundPack;

function grouped(stored: readonly (Position | FoundPack)[]): Group[] {
  const groups: Group[] = [];
  for (const one of stored) {
    const last = groups.at(-1);
    if ('key' in one) groups.push(one);
    else if (Array.isArray(last) && last.length < ROWS_AT_ONCE) last.push(one);
    else groups.push([one]);
  }
  return groups;
}

function leaveBehind(group: Group, result: CarriedOver): void {
  if ('key' in group) {
    result.leftBehind.push(lostPack(group));
    result.settled.push(...positionsOf(group));
    return;
  }
  const rows = group.map(({ best }) => best);
  result.leftBehind.push(...rows);
  result.settled.push(...rows);
}

/** False when the disk has no room for it. */
function carryPack(
  image: BufferImage,
  target: BufferDatabase,
  logs: ReadonlyMap<number, CarriedLog>,
  found: FoundPack,
  result: CarriedOver,
): boolean {
  const row = image.readPack(found);
  const log = logs.get(found.epoch);
  if (row === undefined || log === undefined) {
    result.unreadablePacks.push(lostPack(found));
    return true;
  }
  const { kept, lost } = packWithNames(row, log.log);
  try {
    if (kept !== undefined) target.transaction(() => addPack(target, { ...kept, epoch: log.key }));
  } catch (error) {
    if (isDiskFull(error)) return false;
    throw error;
  }
  if (lost !== undefined) result.nameless.push(lost);
  result.settled.push(...positionsOf(found));
  result.segments += kept === undefined ? 0 : positionsOf(kept).length;
  result.samples += kept?.samples ?? 0;
  return true;
}

function addPack(target: BufferDatabase, pack: PackRow): void {
  const id = target.takeId();
  target.packs.add({ ...pack, id, lastId: id, firstSample: 0, storedAt: UNDATED });
  for (const { run, last } of pack.positions) target.setHead(hex(run), pack.tenant, last);
}

interface CarriedLog {
  log: RescuedLog;
  /** Key of its epoch in the new database. */
  key: number;
}

/** Writes the log of every epoch that a segment names, in the order of their keys. */
function writeLogs(
  image: BufferImage,
  target: BufferDatabase,
  rows: readonly { epoch: number }[],
  random: Random,
): Map<number, CarriedLog> {
  const keys = new Set(rows.map(({ epoch }) => epoch));
  const logs = new Map<number, CarriedLog>();
  const names = new Set<bigint>();
  for (const oldKey of [...keys].sort((a, b) => a - b)) {
    const log = new RescuedLog(image.entries.get(oldKey) ?? new Map());
    const oldName = image.epochs.get(oldKey);
    // With other entries in it, it is another log: hubs must not take it for the one they hold.
    const keepsName = oldName !== undefined && log.isWhole && !names.has(oldName);
    const name = keepsName ? oldName : random.id64();
    names.add(name);
    const key = target.transaction(() => {
      const newKey = target.logs.addEpoch(name);
      let hash = CHAIN_START;
      let id = 0;
      for (const entry of log.dense()) {
        hash = extendChain(hash, entry);
        target.logs.addEntry(newKey, id++, hash, entry);
      }
      return newKey;
    });
    logs.set(oldKey, { log, key });
  }
  return logs;
}

/** False when the disk has no room for the group: then nothing of it was carried over. */
function carryGroup(
  image: BufferImage,
  target: BufferDatabase,
  logs: ReadonlyMap<number, CarriedLog>,
  group: readonly Position[],
  result: CarriedOver,
): boolean {
  const rows = group.map((position) => ({ position, row: readFirst(image, position) }));
  const named = rows.map(({ position, row }) => {
    const log = row && logs.get(row.epoch);
    return { position, row, ...(row && log ? withNames(row, log) : {}) };
  });
  try {
    target.transaction(() => {
      for (const { kept } of named) if (kept !== undefined) addSegment(target, kept);
    });
  } catch (error) {
    if (isDiskFull(error)) return false;
    throw error;
  }
  for (const { position, row, kept, lost } of named) {
    if (row === undefined) result.unreadable.push(position);
    if (lost !== undefined) result.nameless.push(lost);
    if (row !== undefined) {
      const { tenant, run, sequence, samples } = row;
      result.settled.push({ tenant, run, sequence, samples });
    }
    if (kept !== undefined) {
      result.segments++;
      result.samples += kept.samples;
    }
  }
  return true;
}

/** No checksum vouches for a date, and a wrong one would evict the samples for their age. */
function addSegment(target: BufferDatabase, row: SegmentRow): void {
  target.segments.add({ ...row, storedAt: UNDATED });
  target.setHead(row.run, row.tenant, row.sequence);
}

function readFirst(image: BufferImage, { rows }: Position): SegmentRow | undefined {
  for (const found of rows) {
    const row = image.read(found);
    if (row !== undefined) return row;
  }
  return undefined;
}

/** The row under the new key of its epoch, without the samples whose series is lost. */
function withNames(
  row: SegmentRow,
  { log, key }: CarriedLog,
): { kept?: SegmentRow; lost?: LostSegment } {
  const columns = new SampleColumns(row.samples);
  try {
    decodeSegment(row.body, row.samples, columns);
  } catch (error) {
    if (error instanceof DecodeError || error instanceof FrameError) return { lost: row };
    throw error;
  }
  if (columns.ids.subarray(0, columns.count).every((id) => log.resolves(id))) {
    return { kept: { ...row, epoch: key } };
  }
  const named = new SampleColumns(columns.count);
  const nameless = new SampleColumns(0);
  for (let at = 0; at < columns.count; at++) {
    (log.resolves(columns.ids[at]!) ? named : nameless).appendRows(columns, at, at + 1);
  }
  const { tenant, run, sequence } = row;
  const positions = [{ run, first: sequence, last: sequence }];
  const lost = { tenant, samples: nameless.count, ...timeRange(nameless), positions };
  if (named.count === 0) return { lost };
  const body = encodeSegment(named);
  return {
    kept: { ...row, epoch: key, samples: named.count, ...timeRange(named), body },
    lost,
  };
}
