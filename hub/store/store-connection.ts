import { join } from 'node:path';
import type Database from 'better-sqlite3';
import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import { DataDirInUse, type DataDirLock, lockDataDir } from '../../base/sqlite/data-dir-lock.ts';
import { OpenFiles } from '../../base/sqlite/open-files.ts';
import { StoreUnavailable } from '../store-unavailable.ts';
import { beginAnew, type FileDamage, openHubFile } from './hub-file.ts';
import { DamagedStoreError, isDamage, isDiskFault, remedyFor } from './store-fault.ts';

export interface StoreTools {
  clock: Clock;
  log: BoundedLog;
}

/** For the status: what is wrong with the database, and what was. */
export interface StoreState {
  /** What to do, while the database cannot be used. */
  problem: string | undefined;
  /** Since the start of the process. */
  damagedFiles: number;
  damagedRows: number;
  /** The files that were set aside last. */
  lastDamage: (FileDamage & { atMs: number }) | undefined;
}

interface Open<Statements> {
  db: Database.Database;
  statements: Statements;
  files: OpenFiles;
}

/**
 * The hub's one connection to its database, and the one place that meets what can go wrong with it.
 *
 * A fault of the disk becomes StoreUnavailable and passes with the disk. Files that are damaged, or
 * that somebody else has deleted, replaced or written to, are set aside, and a new database is
 * begun: all that it holds comes from agents, and comes again.
 */
export class StoreConnection<Statements> {
  readonly #dataDir: string;
  readonly #path: string;
  readonly #prepare: (db: Database.Database) => Statements;
  readonly #tools: StoreTools;
  readonly #begunAnew: (() => void)[] = [];
  #lock: DataDirLock;
  #open: Open<Statements> | undefined;
  /** Why the files have to be set aside before anything else is done. */
  #spoilt: string | undefined;
  /** Whether somebody further up on the stack meets what is thrown. */
  #isInside = false;
  #isBeginning = false;
  readonly #state: StoreState = {
    problem: undefined,
    damagedFiles: 0,
    damagedRows: 0,
    lastDamage: undefined,
  };

  /** @throws Error when the folder cannot be used, or another process uses it */
  constructor(dataDir: string, prepare: (db: Database.Database) => Statements, tools: StoreTools) {
    this.#dataDir = dataDir;
    this.#path = join(dataDir, 'hub.db');
    this.#prepare = prepare;
    this.#tools = tools;
    try {
      this.#lock = lockDataDir(dataDir, 'hub');
    } catch (error) {
      throw explained(error, dataDir);
    }
    try {
      this.#take(openHubFile(this.#path, tools.clock.now()));
    } catch (error) {
      this.#lock.release();
      throw explained(error, dataDir);
    }
  }

  get state(): Readonly<StoreState> {
    return this.#state;
  }

  /** Calls `listener` whenever the database has been begun anew while the hub runs. */
  onBegunAnew(listener: () => void): void {
    this.#begunAnew.push(listener);
  }

  /** @throws StoreUnavailable; whatever `work` throws besides errors of SQLite */
  use<T>(work: (statements: Statements) => T): T {
    return this.#guarded(({ statements }) => work(statements));
  }

  /**
   * Everything inside is committed and synced together, or nothing is.
   *
   * @throws StoreUnavailable; whatever `work` throws besides errors of SQLite
   */
  together<T>(work: (statements: Statements) => T): T {
    const result = this.#guarded(({ db, statements }) =>
      db.transaction(() => work(statements)).immediate(),
    );
    this.#state.problem = undefined;
    return result;
  }

  /** Rows that do not agree with their checksums were set aside. */
  noteDamagedRows(table: string, rows: number): void {
    if (rows === 0) return;
    this.#state.damagedRows += rows;
    this.#tools.log.error(
      'store rows',
      { table, rows },
      'set damaged rows of hub.db aside: agents send again what is missing; check the disk',
    );
  }

  close(): void {
    this.#open?.db.close();
    this.#lock.release();
  }

  #guarded<T>(work: (open: Open<Statements>) => T): T {
    if (this.#isInside) return work(this.#open!);
    try {
      const open = this.#ready();
      this.#isInside = true;
      return work(open);
    } catch (error) {
      this.#isInside = false;
      throw this.#judged(error);
    } finally {
      this.#isInside = false;
      this.#note();
    }
  }

  /** SQLite may have written, whatever came of it: what was rolled back is in the log as well. */
  #note(): void {
    try {
      this.#open?.files.note();
    } catch {
      // The next look at the files says so.
    }
  }

  /** The open database, if its files are still those that were opened. */
  #ready(): Open<Statements> {
    if (!this.#lock.isInPlace()) {
      this.#lock.release();
      this.#lock = lockDataDir(this.#dataDir, 'hub');
    }
    if (this.#open === undefined) return this.#beginAnew();
    const change = this.#open.files.change();
    if (change !== undefined) throw new DamagedStoreError(change);
    return this.#open;
  }

  /** What to throw: faults of the world as one kind, bugs as they are. */
  #judged(error: unknown): unknown {
    // Without an open database there is nothing that could be a bug of a statement.
    if (this.#open !== undefined && isDamage(error)) return this.#replaceDamaged(error as Error);
    if (this.#open === undefined || isDiskFault(error)) return this.#unavailable(error);
    return error;
  }

  #replaceDamaged(damage: Error): StoreUnavailable {
    this.#spoilt = damage.message;
    try {
      this.#open?.db.close();
      this.#open = undefined;
      // A disk that damages what was begun just now would go on like that.
      if (this.#isBeginning) return this.#unavailable(damage);
      this.#beginAnew();
    } catch (failure) {
      return this.#unavailable(failure);
    }
    return new StoreUnavailable('the hub’s database was damaged and has been begun anew');
  }

  #unavailable(error: unknown): StoreUnavailable {
    const remedy = remedyFor(error, 'the hub’s data_dir');
    this.#state.problem = remedy;
    this.#tools.log.error(
      'store',
      { err: error, dataDir: this.#dataDir },
      `cannot use hub.db: ${remedy}; agents keep their samples meanwhile`,
    );
    return new StoreUnavailable(`the hub cannot use its database: ${remedy}`);
  }

  #beginAnew(): Open<Statements> {
    const open = this.#take(beginAnew(this.#path, this.#spoilt!, this.#tools.clock.now()));
    this.#spoilt = undefined;
    this.#isBeginning = true;
    try {
      for (const listener of this.#begunAnew) listener();
    } finally {
      this.#isBeginning = false;
    }
    return open;
  }

  #take({
    db,
    damage,
  }: {
    db: Database.Database;
    damage: FileDamage | undefined;
  }): Open<Statements> {
    this.#open = { db, statements: this.#prepare(db), files: new OpenFiles(this.#path) };
    if (damage !== undefined) {
      this.#state.damagedFiles++;
      this.#state.lastDamage = { ...damage, atMs: this.#tools.clock.now() };
      this.#tools.log.error(
        'store damaged',
        damage,
        'hub.db was damaged and is set aside: agents send their dictionaries again; check the disk, ' +
          'and who else writes into data_dir',
      );
    }
    return this.#open;
  }
}

/** For the operator who starts the hub: one line that says what to do. */
function explained(error: unknown, dataDir: string): unknown {
  if (error instanceof DataDirInUse || !isDiskFault(error)) return error;
  const message = `${dataDir}: ${(error as Error).message}: ${remedyFor(error, dataDir)}`;
  return new Error(message, { cause: error });
}
