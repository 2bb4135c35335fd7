import type { Clock } from '../../base/clock.ts';
import type { OutgoingRequest, Replica } from '../../proto/remote-write/encoder-1.ts';
import type { TimeRange } from '../../proto/time-range.ts';
import { GAP_MS, TimeCover } from './time-cover.ts';

/** Samples [from, to) of a request that the destination did not take: another replica is elected. */
export interface DuplicatePart {
  from: number;
  to: number;
  /** How long they have waited for the elected replica. */
  heldMs: number;
}

/** What the rows of such a part are; those that are not named are duplicates. */
export interface DuplicateVerdict {
  /** It is too early to say. */
  wait: number[];
  /** In a gap of what the cluster has written. */
  missing: number[];
  /** They may yet come from the elected replica, whose older samples they would shut out. */
  early: number[];
}

/** What one HA cluster of a tenant has written through this hub. */
interface Cluster {
  cover: TimeCover;
  /** When samples of each replica were last taken, on the clock that never jumps. */
  takenAtMs: Map<string, number>;
  /** Gaps that the elected replica was given time to fill. */
  gaps: TimeRange[];
  /** Until then, on that clock, replicas are elected that write by another way. */
  elsewhereUntilMs: number;
}

/**
 * How long samples wait for the elected replica to come so far, or to fall silent for as long as the
 * destination needs to elect another one (30 s by default).
 */
const AHEAD_MS = 300_000;
/** And where it has come further already: its backlog may be under way beside its live samples. */
const BEHIND_MS = 60_000;
/** And for a first word of it: without one, it writes by another way, and nothing is known of it. */
const UNHEARD_MS = 10_000;
/** A replica that was silent for so long is not heard here any more. */
const HEARD_MS = 900_000;

const CLUSTERS_MAX = 10_000;
const REPLICAS_MAX = 16;
const GAPS_MAX = 16;

const NO_ROWS: DuplicateVerdict = { wait: [], missing: [], early: [] };

/**
 * Which samples that the HA tracker has turned away are duplicates, and which are not: it decides by
 * the time of arrival alone, so the backlog of one replica is turned away while another one is
 * elected, whether that one has samples of the same times or not.
 */
export class ReplicaCover {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #clusters = new Map<string, Cluster>();

  /** @param windowMs the destination takes samples so far behind the newest of their series */
  constructor(windowMs: number, clock: Clock) {
    this.#windowMs = windowMs;
    this.#clock = clock;
  }

  /** Samples [from, to) were taken, so their replica is elected. */
  taken(request: OutgoingRequest, from: number, to: number): void {
    const { replica } = request;
    if (replica === undefined) return;
    const { cover, takenAtMs } = this.#cluster(request.tenant, replica);
    for (let row = from; row < to; row++) {
      if (!request.isExemplar(row)) cover.add(request.timestampOf(row));
    }
    takenAtMs.delete(replica.replica);
    takenAtMs.set(replica.replica, this.#clock.elapsedMs());
    dropFirst(takenAtMs, REPLICAS_MAX);
  }

  /** @param message names the replica that was turned away, and the one that is elected */
  judge(request: OutgoingRequest, part: DuplicatePart, message: string): DuplicateVerdict {
    const { replica } = request;
    const elected = replica && electedOf(message, replica);
    // The destination goes by other labels than this hub is told.
    if (replica === undefined || elected === undefined) return NO_ROWS;
    const cluster = this.#cluster(request.tenant, replica);
    const nowMs = this.#clock.elapsedMs();
    if (nowMs - (cluster.takenAtMs.get(elected) ?? Number.NEGATIVE_INFINITY) > HEARD_MS) {
      if (part.heldMs < UNHEARD_MS && nowMs >= cluster.elsewhereUntilMs) {
        return { ...NO_ROWS, wait: rowsOf(request, part, () => true) };
      }
      cluster.elsewhereUntilMs = nowMs + HEARD_MS;
      return NO_ROWS;
    }
    return this.#judgeTimes(cluster, request, part);
  }

  #judgeTimes(cluster: Cluster, request: OutgoingRequest, part: DuplicatePart): DuplicateVerdict {
    const gaps = uncovered(cluster, request, part, this.#clock.now());
    const news = gaps.filter((gap) => !cluster.gaps.some((known) => isWithin(gap, known)));
    const isMissing = (timestamp: number) => gaps.some((gap) => isIn(timestamp, gap));
    const isAhead = news.some(({ newest }) => newest === Number.POSITIVE_INFINITY);
    if (news.length > 0 && part.heldMs < (isAhead ? AHEAD_MS : BEHIND_MS)) {
      return { ...NO_ROWS, wait: rowsOf(request, part, isMissing) };
    }
    cluster.gaps.push(...news.filter(({ newest }) => newest < Number.POSITIVE_INFINITY));
    cluster.gaps.splice(0, cluster.gaps.length - GAPS_MAX);
    const early = cluster.cover.newest + this.#windowMs;
    return {
      ...NO_ROWS,
      missing: rowsOf(request, part, (timestamp) => timestamp < early && isMissing(timestamp)),
      early: rowsOf(request, part, (timestamp) => timestamp >= early && isMissing(timestamp)),
    };
  }

  #cluster(tenant: string, { cluster: name }: Replica): Cluster {
    const key = `${tenant}\0${name}`;
    let cluster = this.#clusters.get(key);
    if (cluster === undefined) {
      cluster = { cover: new TimeCover(), takenAtMs: new Map(), gaps: [], elsewhereUntilMs: 0 };
      this.#clusters.set(key, cluster);
      dropFirst(this.#clusters, CLUSTERS_MAX);
    }
    return cluster;
  }
}

/** Rows of a part by their timestamps, exemplars with the sample before them. */
function rowsOf(
  request: OutgoingRequest,
  { from, to }: DuplicatePart,
  isWanted: (timestamp: number) => boolean,
): number[] {
  const rows: number[] = [];
  let isIn = false;
  for (let row = from; row < to; row++) {
    if (row === from || !request.isExemplar(row)) isIn = isWanted(request.timestampOf(row));
    if (isIn) rows.push(row);
  }
  return rows;
}

/**
 * The gaps that samples of a part are in. No gap is where the elected replica is about to write: just
 * ahead of it while it is up to date; nor just before its first sample.
 */
function uncovered(
  { cover, gaps: known }: Cluster,
  request: OutgoingRequest,
  { from, to }: DuplicatePart,
  nowMs: number,
): TimeRange[] {
  const gaps: TimeRange[] = [];
  for (let row = from; row < to; row++) {
    const timestamp = request.timestampOf(row);
    if (request.isExemplar(row) || gaps.some((gap) => isIn(timestamp, gap))) continue;
    const gap = cover.gapAt(timestamp);
    if (gap === undefined) continue;
    const isAhead = gap.newest === Number.POSITIVE_INFINITY;
    const isFirst = gap.oldest === Number.NEGATIVE_INFINITY;
    const isNone = isAhead
      ? cover.newest >= nowMs - GAP_MS
      : isFirst && timestamp >= gap.newest - GAP_MS && !known.some((one) => isIn(timestamp, one));
    if (!isNone) gaps.push(gap);
  }
  return gaps;
}

function isIn(timestamp: number, { oldest, newest }: TimeRange): boolean {
  return timestamp > oldest && timestamp < newest;
}

function isWithin(inner: TimeRange, outer: TimeRange): boolean {
  return inner.oldest >= outer.oldest && inner.newest <= outer.newest;
}

/**
 * The elected replica in the words of Cortex and Mimir: "replicas did not match, rejecting sample:
 * replica=b, elected=a".
 */
function electedOf(message: string, { replica }: Replica): string | undefined {
  const names = `replica=${replica}, elected=`;
  const at = message.indexOf(names);
  return at < 0 ? undefined : message.slice(at + names.length).trim();
}

function dropFirst(map: Map<string, unknown>, sizeMax: number): void {
  if (map.size <= sizeMax) return;
  const [first] = map.keys();
  map.delete(first!);
}
