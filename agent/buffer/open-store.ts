import { statSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../base/folders.ts';
import { isUnknownFormat } from '../../base/sqlite/file-format.ts';
import { DamagedBufferError, isDamageAtOpen } from './damage.ts';
import { BufferDatabase } from './database.ts';
import { Dictionary } from './dictionary.ts';
import { DiskGuard } from './disk-guard.ts';
import { HIGH_WATER_FILE, readHighWater } from './high-water.ts';
import { type SalvageOptions, type SalvageTools, salvage } from './salvage/salvage.ts';
import { SalvageFiles } from './salvage/salvage-files.ts';
import { refuseNewer } from './salvage/stored-version.ts';
import { damageOfWal } from './salvage/wal-check.ts';
import { type Stock, takeStock } from './take-stock.ts';

/** Checking more than this is worth saying that it takes a while. */
const QUICK_BYTES_MAX = 2 ** 30;

interface OpenDatabase {
  db: BufferDatabase;
  /** Of the epochs that are still referred to, oldest first. */
  dictionaries: Dictionary[];
}

export interface Store extends OpenDatabase {
  disk: DiskGuard;
  stock: Stock;
}

/**
 * Opens the buffer's database in `dataDir` in whatever state its files are. No start is refused for
 * damage: what is damaged is set aside, what can be read of it is carried over, the rest is
 * accounted for.
 *
 * @param onDelay called before anything that may take minutes
 * @throws NewerBufferError; NoRoomError; errors of SQLite and of the file system when the disk cannot
 *   be read or written
 */
export function openStore(
  dataDir: string,
  options: SalvageOptions,
  tools: SalvageTools & { onDelay: () => void },
): Store {
  const { clock, log, losses } = tools;
  const opened = openDatabase(dataDir, options, tools);
  const { db } = opened;
  try {
    const stock = takeStock(db, join(dataDir, HIGH_WATER_FILE), losses, log);
    const disk = new DiskGuard({ foreignChange: () => db.foreignChange(), clock, log });
    return { ...opened, disk, stock };
  } catch (error) {
    db.close();
    throw error;
  }
}

function openDatabase(
  dataDir: string,
  options: SalvageOptions,
  tools: SalvageTools & { onDelay: () => void },
): OpenDatabase {
  makeFolder(dataDir);
  const unfinished = SalvageFiles.unfinished(dataDir);
  if (unfinished !== undefined) {
    tools.onDelay();
    goOn(unfinished, options, tools);
  }
  const stats = statSync(join(dataDir, 'buffer.db'), { throwIfNoEntry: false });
  if (stats !== undefined && stats.size > QUICK_BYTES_MAX) tools.onDelay();
  const damage = tryToOpen(dataDir, options);
  if (typeof damage !== 'string') return damage;
  tools.onDelay();
  const files = SalvageFiles.begin(dataDir, tools.clock.now());
  tools.log.error({ damage, keptIn: files.folder }, 'buffer.db is damaged and was set aside');
  salvage(files, options, tools);
  return open(dataDir, options);
}

function goOn(files: SalvageFiles, options: SalvageOptions, tools: SalvageTools): void {
  if (files.isComplete) files.finish();
  else {
    files.setAside();
    refuseNewer(files.folder);
    salvage(files, options, tools);
  }
}

/** The database, or what is damaged. */
function tryToOpen(dataDir: string, options: SalvageOptions): OpenDatabase | string {
  refuseNewer(dataDir);
  // Before SQLite sees the log: it would pass over what is behind the damage and write over it.
  const damage = damageOfWal(dataDir, readHighWater(join(dataDir, HIGH_WATER_FILE)));
  if (damage !== undefined) return damage;
  try {
    return open(dataDir, options);
  } catch (error) {
    const isDamage = isDamageAtOpen(error) || isUnknownFormat(error, join(dataDir, 'buffer.db'));
    if (isDamage) return (error as Error).message;
    throw error;
  }
}

/** @throws DamagedBufferError, errors of SQLite */
function open(dataDir: string, { bytesMax }: SalvageOptions): OpenDatabase {
  const db = new BufferDatabase(join(dataDir, 'buffer.db'), bytesMax);
  try {
    const problem = db.problem();
    if (problem !== undefined) throw new DamagedBufferError(problem);
    return { db, dictionaries: db.logs.epochs().map((epoch) => new Dictionary(db, epoch)) };
  } catch (error) {
    db.close();
    throw error;
  }
}
