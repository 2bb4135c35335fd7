import type { Clock } from '../../../base/clock.ts';
import type { Log } from '../../../base/log.ts';
import { DamagedBufferError } from '../damage.ts';
import { BufferDatabase } from '../database.ts';
import { Dictionary } from '../dictionary.ts';
import { isDiskFault, isReadError } from '../disk-fault.ts';
import type { HighWater } from '../high-water.ts';
import type { Losses } from '../losses.ts';
import { missingFrom } from '../missing.ts';
import { SalvageFiles } from './salvage-files.ts';

interface RescueTools {
  damage: string;
  /** Whether pages that cannot be read are worth another attempt. */
  mayBeReadable: boolean;
  clock: Clock;
  log: Log;
  losses: Losses;
}

/**
 * Sets the files of a database aside that is still open. A file that was deleted or replaced is
 * whole for whoever has it open, and so may a damaged one be as long as its pages are in memory:
 * when a copy through the open files holds everything that must be there, it takes the place of
 * the database, and nothing is lost. Otherwise what lies in the folder is left to be salvaged.
 *
 * @throws errors of the disk while files are set aside, or while it does not take the copy of what
 *   has no name any more, or does not read it; then it is to be called again
 */
export function rescueOpenFiles(
  dataDir: string,
  db: BufferDatabase,
  dictionaries: readonly Dictionary[],
  expected: HighWater,
  { damage, mayBeReadable, clock, log, losses }: RescueTools,
): void {
  const files = SalvageFiles.unfinished(dataDir) ?? SalvageFiles.begin(dataDir, clock.now());
  files.setAside();
  const { folder: keptIn } = files;
  const copy = copyThrough(db, files, dictionaries, expected);
  if (copy instanceof Error) {
    files.clearPart();
    // Files that are open and nowhere else go with the last who has them open.
    const mayPass = isDiskFault(copy) || (mayBeReadable && isReadError(copy));
    if (mayPass && !db.isIn(keptIn)) throw copy;
    log.error({ damage, keptIn, copy: copy.message }, 'buffer.db is damaged and was set aside');
    return;
  }
  files.complete();
  losses.salvages++;
  losses.salvagedSamples += copy;
  log.error(
    { damage, keptIn, carriedSamples: copy },
    'the files of the buffer were damaged while in use; everything was still in reach and was ' +
      'copied into a new buffer.db: find out who or what changed them',
  );
}

/** Samples in the copy, or why there is none that holds everything. */
function copyThrough(
  db: BufferDatabase,
  files: SalvageFiles,
  dictionaries: readonly Dictionary[],
  expected: HighWater,
): number | Error {
  let copy: BufferDatabase | undefined;
  try {
    files.clearPart();
    db.copyInto(files.part);
    copy = new BufferDatabase(files.part, 0);
    const problem = copy.problem();
    if (problem !== undefined) return new DamagedBufferError(problem);
    if (missingFrom(copy, expected).length > 0) {
      return new DamagedBufferError('segments are missing');
    }
    for (const log of dictionaries) {
      const copied = new Dictionary(copy, log);
      const isWhole = copied.chainHash(copied.length) === log.chainHash(log.length);
      if (!isWhole || copied.length !== log.length) {
        return new DamagedBufferError('dictionary entries are missing');
      }
    }
    return copy.samples();
  } catch (error) {
    return error as Error;
  } finally {
    copy?.close();
  }
}
