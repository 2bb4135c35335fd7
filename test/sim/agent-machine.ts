import { join } from 'node:path';
import type { HubLink } from '../../agent/ship/hub-client.ts';
import { AgentProcess } from './agent-process.ts';
import type { Chance } from './chance.ts';
import { cutWal, damageStored, flipBits, loseWitness, writeWitness } from './data-folder.ts';
import { emptyFile, takeFiles } from './file-faults.ts';
import type { Ledger } from './ledger.ts';
import type { Moment } from './moments.ts';
import { copyAsAfterPowerCut, copyFolder } from './power-cut.ts';
import { STARTS_AT_MS, type Surroundings } from './surroundings.ts';
import { WallClock } from './virtual-time.ts';
import { setAtStart } from './wrong-clock.ts';

/** Between attempts to set a damaged buffer aside. */
const RECOVERY_MS = 1000;

export interface AgentMachineDeps {
  surroundings: Surroundings;
  ledger: Ledger;
  /** Folder for the data of all processes. */
  folder: string;
  connect(isDead: () => boolean): HubLink;
}

/** A copy of a data_dir, as an operator made it. */
export interface Snapshot {
  folder: string;
  /** Samples acknowledged until then. */
  acknowledged: number;
  /** Somebody had taken the files away: what was acknowledged lay in open files only. */
  areFilesTaken: boolean;
}

/** A machine with a disk and a clock, on which one process of the agent after another runs. */
export class AgentMachine {
  readonly name: string;
  readonly clock: WallClock;
  process: AgentProcess | undefined;
  /** Crashes the process when the kind of moment comes; `cuts`: in the middle of the commit. */
  crashAt: { kind: Moment['kind']; cuts: boolean } | undefined;
  /** Somebody touches the files when the kind of moment comes. */
  touchAt: { kind: Moment['kind']; how: 'take' | 'empty' } | undefined;
  readonly #deps: AgentMachineDeps;
  readonly #chance: Chance;
  /** What the next process finds. */
  #dataDir: string;
  #folders = 0;
  #starts = 0;
  /** The files that the process has open are not those in its folder. */
  #areFilesTaken = false;
  /** The next process may find that samples have vanished. */
  #isExcused = false;

  /** @param from data_dir that the machine begins with */
  constructor(name: string, deps: AgentMachineDeps, from?: Snapshot) {
    const { surroundings } = deps;
    this.name = name;
    this.#deps = deps;
    this.#chance = surroundings.chance.part(name);
    this.clock = new WallClock(surroundings.time, STARTS_AT_MS + this.#chance.between(-500, 500));
    this.#dataDir = from?.folder ?? this.#nextFolder();
    this.#isExcused = from?.areFilesTaken ?? false;
  }

  start(): void {
    const { surroundings } = this.#deps;
    if (this.process !== undefined) return;
    surroundings.note(`${this.name} starts`);
    this.crashAt = undefined;
    if (surroundings.plan.events.includes('wrong clock')) {
      setAtStart(this.clock, surroundings, this.#chance);
    }
    try {
      this.process = this.#run(undefined);
    } catch (error) {
      surroundings.violation(`${this.name} cannot start: ${error}`);
    }
  }

  /** @param before the life before, in the same process */
  #run(before: AgentProcess | undefined): AgentProcess {
    const { surroundings, connect } = this.#deps;
    const process: AgentProcess = new AgentProcess(this.#dataDir, {
      surroundings,
      clock: this.clock,
      random: this.#chance.part(`process ${this.#starts++}`).random,
      before,
      connect,
      onMoment: (moment) => {
        this.#considerTouch(moment);
        this.#considerCrash(process, moment);
      },
      onDamaged: (damaged) => surroundings.spawn(this.#recover(damaged)),
    });
    return process;
  }

  /** As agent/worker.ts does: sets the damaged files aside, and goes on in the same process. */
  async #recover(process: AgentProcess): Promise<void> {
    const { surroundings } = this.#deps;
    surroundings.note(`${this.name} finds its files damaged`);
    for (;;) {
      if (process.isDead) return;
      try {
        process.buffer.abandon();
        break;
      } catch (error) {
        surroundings.note(`${this.name} cannot set them aside: ${error}`);
      }
      await surroundings.time.sleep(RECOVERY_MS);
    }
    this.#readLosses(process);
    this.#areFilesTaken = false;
    try {
      this.process = this.#run(process);
    } catch (error) {
      surroundings.violation(`${this.name} cannot go on: ${error}`);
    }
  }

  /** Takes the files away, or cuts one short; the process, if there is one, goes on. */
  touchFiles(how: 'take' | 'empty'): void {
    const { surroundings } = this.#deps;
    if (this.process === undefined) return;
    const what =
      how === 'take'
        ? takeFiles(this.#dataDir, this.#nextFolder(), this.#chance)
        : emptyFile(this.#dataDir, this.#chance);
    if (how === 'take') this.#areFilesTaken = true;
    surroundings.note(`${this.name}: ${what}`);
  }

  /** The power fails now. */
  crash(): void {
    this.crashAt = undefined;
    const { process } = this;
    if (process === undefined) return;
    this.#expectBalance(process);
    this.#die(process);
  }

  snapshot(): Snapshot {
    const folder = this.#nextFolder();
    copyFolder(this.#dataDir, folder);
    const areFilesTaken = this.#areFilesTaken;
    const acknowledged = areFilesTaken ? 0 : this.#deps.ledger.acknowledged;
    return { folder, acknowledged, areFilesTaken };
  }

  /** Puts an older copy in the place of the data_dir; the process must have ended. */
  restore({ folder, acknowledged, areFilesTaken }: Snapshot): void {
    const { ledger, surroundings } = this.#deps;
    surroundings.note(`${this.name} is restored from ${acknowledged} acknowledged samples`);
    this.#dataDir = folder;
    this.#isExcused = areFilesTaken;
    ledger.forgive(this.name, acknowledged);
  }

  /** Damages a stored segment or pack, or the files anywhere; the process must have ended. */
  damage(): void {
    const where = this.#chance.maybe(0.5)
      ? flipBits(this.#dataDir, this.#chance)
      : damageStored(this.#dataDir, this.#chance);
    this.#deps.surroundings.note(`${this.name} damaged in ${where ?? 'nothing'}`);
  }

  /** Ends in good order, with nothing left to send. */
  async stop(): Promise<void> {
    const { process } = this;
    if (process === undefined) return;
    await process.stop();
    this.#expectBalance(process);
    this.#readLosses(process);
    this.process = undefined;
  }

  #considerTouch({ kind }: Moment): void {
    const wanted = this.touchAt;
    if (wanted?.kind !== kind) return;
    this.touchAt = undefined;
    this.touchFiles(wanted.how);
  }

  #considerCrash(process: AgentProcess, moment: Moment): void {
    const wanted = this.crashAt;
    if (wanted?.kind !== moment.kind || process.isDead) return;
    this.crashAt = undefined;
    this.#deps.surroundings.note(`${this.name} crashes ${moment.kind}`);
    this.#die(process);
    if (moment.kind !== 'after append' || !wanted.cuts) return;
    const { walBytesBefore, walBytesAfter, witnessBefore } = moment;
    // After a checkpoint the log is written from its start again: nobody can say where to cut.
    if (walBytesAfter <= walBytesBefore) return;
    cutWal(this.#dataDir, this.#chance.whole(walBytesBefore, walBytesAfter - 1));
    // What is not yet in the log is not yet in the witness either.
    if (witnessBefore !== undefined) writeWitness(this.#dataDir, witnessBefore);
  }

  #die(process: AgentProcess): void {
    const { surroundings, ledger } = this.#deps;
    surroundings.note(`${this.name} is dead, ${process.waiting()} samples waiting`);
    this.#readLosses(process);
    this.#dataDir = this.#nextFolder();
    copyAsAfterPowerCut(process.dataDir, this.#dataDir, this.#chance);
    // It is not synced, and so shows what is damaged only as far as it has been written out.
    if (!surroundings.plan.events.some((event) => event === 'damage' || event === 'files emptied'))
      loseWitness(this.#dataDir, this.#chance);
    // Nobody has the files open any more that hold what was acknowledged.
    if (this.#areFilesTaken) ledger.forgive(this.name, 0);
    this.#isExcused = this.#areFilesTaken;
    this.#areFilesTaken = false;
    process.crash();
    this.process = undefined;
  }

  #expectBalance(process: AgentProcess): void {
    const imbalance = process.imbalance();
    if (imbalance !== undefined) {
      this.#deps.surroundings.violation(`counters of ${this.name}: ${imbalance}`);
    }
  }

  /** Takes down what the process has said so far. */
  noteLosses(): void {
    if (this.process !== undefined) this.#readLosses(this.process);
  }

  /** Losses are what the log says: the time range must be enough to know what is missing. */
  #readLosses({ lines }: AgentProcess): void {
    for (const { reason, tenant, samples, oldest, newest, elapsedMs } of lines.splice(0)) {
      if (reason === undefined || oldest === undefined) continue;
      this.#deps.surroundings.note(`${this.name} lost ${samples} of ${tenant}: ${reason}`);
      this.#deps.ledger.report({
        reason: String(reason),
        tenant: String(tenant),
        // Of segments that have left no row the number is not known, and the log says so.
        samples: samples === 0 ? Number.POSITIVE_INFINITY : Number(samples),
        oldest: Date.parse(String(oldest)),
        newest: Date.parse(String(newest)),
        elapsedMs: Number(elapsedMs),
        isExcused: this.#isExcused,
      });
    }
  }

  #nextFolder(): string {
    return join(this.#deps.folder, `${this.name}-${this.#folders++}`);
  }
}
