import { systemClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { DataDirInUse, type DataDirLock, lockDataDir } from '../base/sqlite/data-dir-lock.ts';
import { Buffer } from './buffer/buffer.ts';
import { SalvageFiles } from './buffer/salvage/salvage-files.ts';
import { discard } from './discard.ts';
import type { Discarded, DiscardRequest } from './discard-request.ts';
import { TargetKeys } from './target-keys.ts';

/** No limit of the agent is of interest here; SQLite wants one for the pages of the file. */
const BYTES_MAX = 2 ** 45;

/**
 * Discards samples of a buffer that no agent uses. The next start of the agent counts them.
 *
 * @returns a text: why nothing was looked at
 */
export async function discardOffline(
  dataDir: string,
  request: DiscardRequest,
): Promise<Discarded | string> {
  let lock: DataDirLock | undefined;
  let buffer: Buffer | undefined;
  try {
    lock = lockDataDir(dataDir, 'agent');
    if (SalvageFiles.unfinished(dataDir) !== undefined) {
      return `${dataDir}: a salvage was interrupted: start the agent, which goes on with it`;
    }
    buffer = openBuffer(dataDir);
    const ended = (): undefined => undefined;
    const targets = new TargetKeys(buffer);
    const discarded = await discard(request, { buffer, targets, clock: systemClock, ended });
    buffer.housekeep();
    return discarded;
  } catch (error) {
    if (error instanceof DataDirInUse) return inUse(dataDir);
    if (!(error instanceof Error)) throw error;
    return `${dataDir}: ${error.message}`;
  } finally {
    buffer?.close();
    lock?.release();
  }
}

/** What to do about a buffer that an agent uses. */
export function inUse(dataDir: string): string {
  return (
    `${dataDir}: an agent is running on it: give its URL instead of the folder, as in ` +
    '`starferry buffer discard http://127.0.0.1:9201 …` (admin_listen where there is one)'
  );
}

function openBuffer(dataDir: string): Buffer {
  return new Buffer(
    {
      dataDir,
      bytesMax: BYTES_MAX,
      parkedBytesMax: BYTES_MAX,
      ageMaxMs: 0,
      whenFull: 'reject',
      freeDiskBytesMin: 0,
    },
    {
      clock: systemClock,
      hubClock: { confirmed: () => undefined },
      random: systemRandom,
      // What goes wrong is in the outcome.
      log: createLog({ level: 'fatal', name: 'starferry-discard' }),
    },
  );
}
