import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { PACK_SAMPLES_MAX } from '../proto/pack.ts';
import type { Buffer } from './buffer/buffer.ts';
import type { SegmentHead } from './buffer/segment-table.ts';
import { PackMaker } from './encode/pack-maker.ts';
import type { TargetKeys } from './target-keys.ts';

export interface PackingOptions {
  samplesMax: number;
  /** What was stored later may soon be sent as it is. */
  ageMinMs: number;
  /** How often to look for work when there was none. */
  checkEveryMs: number;
}

/** As the agent packs. */
export const PACKING: PackingOptions = {
  samplesMax: PACK_SAMPLES_MAX,
  ageMinMs: 30_000,
  checkEveryMs: 1000,
};

export interface PackingDeps {
  buffer: Buffer;
  targets: TargetKeys;
  /** Segments of a tenant with lower ids are a backlog for sure, see PackLimits. */
  backlogEnd(tenant: string): number;
  /** A pack has taken the place of segments. */
  onPacked(): void;
  clock: Clock;
  log: Log;
}

/**
 * Turns a backlog into packs, which are a tenth as large on disk and need no coding when the link is
 * back. It works between commits: after each section it lets appends have their turn. A crash at
 * any point leaves the segments or the pack, for they change places in one transaction.
 */
export async function packBacklog(
  options: PackingOptions,
  deps: PackingDeps,
  signal: AbortSignal,
): Promise<void> {
  const { buffer, clock } = deps;
  let isBusy = false;
  for (;;) {
    if (!isBusy) await clock.sleep(options.checkEveryMs, signal);
    isBusy = false;
    for (const tenant of buffer.backlog.keys()) {
      if (signal.aborted) return;
      const segments = packable(tenant, options, deps);
      if (segments.length > 0 && (await pack(tenant, segments, deps, signal))) isBusy = true;
    }
    if (signal.aborted) return;
  }
}

function packable(
  tenant: string,
  { samplesMax, ageMinMs }: PackingOptions,
  { buffer, backlogEnd, clock }: PackingDeps,
): SegmentHead[] {
  const storedBefore = clock.now() - ageMinMs;
  return buffer.packable(tenant, { samplesMax, storedBefore, backlogEnd: backlogEnd(tenant) });
}

/** Makes one pack; says whether it is stored. */
async function pack(
  tenant: string,
  segments: readonly SegmentHead[],
  { buffer, targets, clock, log, onPacked }: PackingDeps,
  signal: AbortSignal,
): Promise<boolean> {
  const first = segments[0]!;
  const { epoch } = buffer.dictionaryOfEpoch(first.epoch);
  const maker = new PackMaker(targets.keysOf(epoch));
  for (const head of segments) {
    const segment = buffer.readSegment(head);
    // Answered for, evicted or set aside meanwhile: what is left is looked at anew.
    if (segment === undefined) return false;
    if (maker.add(segment)) await clock.sleep(0, signal);
    if (signal.aborted) return false;
  }
  const made = maker.finish();
  const last = segments.at(-1)!;
  const isStored = buffer.storePack(segments, {
    ...made,
    id: first.id,
    lastId: last.id,
    tenant,
    epoch: first.epoch,
    storedAt: last.storedAt,
    oldest: segments.reduce((ms, { oldest }) => Math.min(ms, oldest), first.oldest),
    newest: segments.reduce((ms, { newest }) => Math.max(ms, newest), first.newest),
  });
  if (!isStored) return false;
  buffer.compact();
  const { samples, body } = made;
  log.debug({ tenant, segments: segments.length, samples, bytes: body.length }, 'packed a backlog');
  onPacked();
  return true;
}
