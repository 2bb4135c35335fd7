import { join } from 'node:path';
import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import type { Random } from '../../../base/random.ts';
import { BufferDatabase } from '../database.ts';
import { NoRoomError } from '../disk-fault.ts';
import { FreeDisk } from '../free-disk.ts';
import { HIGH_WATER_FILE, type HighWater, readHighWater } from '../high-water.ts';
import { type Losses, recordLosses } from '../losses.ts';
import { countSegments } from '../missing.ts';
import { BufferImage } from './buffer-image.ts';
import { type CarriedOver, carryOver } from './carry-over.ts';
import type { SalvageFiles } from './salvage-files.ts';
import { lostWith, waitsIn } from './salvage-losses.ts';

export interface SalvageOptions {
  bytesMax: number;
  freeDiskBytesMin: number;
}

export interface SalvageTools {
  clock: Clock;
  random: Random;
  log: Log;
  losses: Losses;
  /** First attempt, on the clock that never jumps; undefined: there is to be no other. */
  triedSinceMs: number | undefined;
}

const ROOM_PATIENCE_MS = 600_000;

const VANISHED =
  'segments that were stored in this time have left no row: how many samples they held is not known';

/**
 * Builds a new database from what can be read of the one that was set aside, puts it in place and
 * accounts for the rest. A crash in between means that it begins again.
 *
 * @throws NoRoomError; errors of SQLite and of the file system
 */
export function salvage(files: SalvageFiles, options: SalvageOptions, tools: SalvageTools): void {
  const witness = readHighWater(join(files.folder, HIGH_WATER_FILE));
  const known = typeof witness === 'string' ? undefined : witness;
  const image = new BufferImage(files.folder);
  let result: CarriedOver;
  try {
    result = build(image, files, known, options, tools);
    if (result.leftBehind.length > 0) waitForRoom(result, files, tools);
    files.complete();
    account(result, image, known, files, tools);
  } finally {
    image.close();
  }
  files.finish();
}

/** A disk that is full now may have room in a minute: nothing is left behind before its time. */
function waitForRoom(
  { leftBehind }: CarriedOver,
  files: SalvageFiles,
  { clock, triedSinceMs }: SalvageTools,
): void {
  if (triedSinceMs === undefined || clock.elapsedMs() - triedSinceMs >= ROOM_PATIENCE_MS) return;
  files.clearPart();
  const samples = leftBehind.reduce((sum, lost) => sum + lost.samples, 0);
  throw new NoRoomError(
    `the disk has no room for ${samples} samples in ${files.folder}: free space, or they are left ` +
      'there after ten minutes',
  );
}

function build(
  image: BufferImage,
  files: SalvageFiles,
  witness: HighWater | undefined,
  { bytesMax, freeDiskBytesMin }: SalvageOptions,
  { clock, random }: SalvageTools,
): CarriedOver {
  const freeDisk = new FreeDisk(files.dataDir, clock);
  files.clearPart();
  const target = new BufferDatabase(files.part, bytesMax);
  try {
    const carried = carryOver(image, target, {
      isExpected: (position) => waitsIn(witness, position),
      hasRoom: () => freeDisk.bytes() >= freeDiskBytesMin,
      random,
    });
    target.emptyLog();
    return carried;
  } finally {
    target.close();
  }
}

function account(
  result: CarriedOver,
  image: BufferImage,
  witness: HighWater | undefined,
  files: SalvageFiles,
  { clock, log, losses }: SalvageTools,
): void {
  const { damaged, vanished } = lostWith(result, image.heads, witness, clock.now());
  const record = (lost: typeof damaged, advice: string): void => {
    recordLosses(
      losses,
      log,
      'damaged',
      lost,
      `${advice}; see what is left of it in ${files.folder}`,
    );
  };
  const lostBefore = losses.samples.damaged;
  record(damaged, 'samples in damaged rows could not be carried over');
  // The witness, where there is one, has named them among what is missing.
  if (witness === undefined)
    record(result.unreadablePacks, 'damaged packs could not be carried over');
  record(result.nameless, 'samples are lost with the dictionary entries of their series');
  record(result.leftBehind, 'samples were left behind: the disk has no room for them');
  losses.salvages++;
  losses.salvagedSamples += result.samples;
  recordLosses(losses, log, 'vanished', vanished, VANISHED);
  losses.vanishedSegments += countSegments(vanished);
  log.error(
    {
      keptIn: files.folder,
      carriedSegments: result.segments,
      carriedSamples: result.samples,
      lostSamples: losses.samples.damaged - lostBefore,
      vanishedSegments: countSegments(vanished),
    },
    'what can be read of the damaged buffer was carried over into a new one: check the disk; the ' +
      'damaged files are kept until you delete them',
  );
}
