import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Workspace } from '../../test/tools/workspace.ts';
import { attachDevices, type Ends } from './namespaces.ts';

const program = fileURLToPath(new URL('./emulator.py', import.meta.url));

/** Settings of the emulator; those left out stay as they were. */
export interface LinkSettings {
  /** Bits a second, each way. */
  rate?: number;
  /** Seconds, one way. */
  delay?: number;
  /** Bytes that may wait to be sent, each way; more are dropped. */
  queue?: number;
  /** Share of the packets that are lost, each way, in bursts of `burst` packets on average. */
  loss?: number;
  burst?: number;
  /** Share of the time in which everything is lost, in fades of `fade` seconds on average. */
  fade_share?: number;
  fade?: number;
  up?: boolean;
}

/** What changes, so many seconds after the start. */
export type LinkStep = readonly [seconds: number, settings: LinkSettings];

/** Counts of one direction since the link was made, as emulator.py explains them. */
export interface WayCounts {
  offered: number;
  cut: number;
  overflowed: number;
  packets: number;
  bytes: number;
  lost: number;
  delivered: number;
  syns: number;
}

/** Counts of both directions at one moment. */
export interface LinkCounts {
  /** Milliseconds since the Unix epoch. */
  atMs: number;
  up: WayCounts;
  down: WayCounts;
}

type Said =
  | { event: 'ready' }
  | { event: 'step'; index: number; at: number }
  | { event: 'stats'; id: number; at: number; ways: [WayCounts, WayCounts] };

interface Waiting {
  resolve(counts: LinkCounts): void;
  reject(error: Error): void;
}

/** The emulator between two ends; `workspace` ends it. */
export class BadLink {
  /** When the link came back after a cut, in ms since the Unix epoch. */
  readonly returnsMs: number[] = [];
  #steps: readonly LinkStep[] = [];
  #isUp = true;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
  }

  /** @throws Error when the emulator ends at once; it has then said why */
  static async start(workspace: Workspace, ends: Ends, seed: number): Promise<BadLink> {
    const args = [program, `--devices=${ends.devices.join()}`, `--seed=${seed}`];
    const child = spawn('python3', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    workspace.onClose(() => void child.kill('SIGKILL'));
    const link = new BadLink(child);
    const ready = new Promise<void>((resolve) => {
      createInterface(child.stdout).on('line', (line) => link.#said(JSON.parse(line), resolve));
    });
    const ended = once(child, 'exit').then(() => link.#ended());
    await Promise.race([ready, ended]);
    attachDevices(ends);
    return link;
  }

  /** Takes steps from now on; those taken before must be at their end. */
  take(steps: readonly LinkStep[]): void {
    this.#steps = steps;
    this.#tell({ do: 'steps', steps });
  }

  counts(): Promise<LinkCounts> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#tell({ do: 'stats', id });
    });
  }

  #tell(command: object): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
  }

  #said(said: Said, ready: () => void): void {
    if (said.event === 'ready') ready();
    else if (said.event === 'step') this.#took(this.#steps[said.index]![1], said.at * 1000);
    else {
      const [up, down] = said.ways;
      this.#waiting.get(said.id)?.resolve({ atMs: said.at * 1000, up, down });
      this.#waiting.delete(said.id);
    }
  }
  #ended(): void {
    const error = new Error('the emulator has ended');
    for (const { reject } of this.#waiting.values()) reject(error);
    throw error;
  }

  #took({ up = this.#isUp }: LinkSettings, atMs: number): void {
    if (up && !this.#isUp) this.returnsMs.push(atMs);
    this.#isUp = up;
  }
}
