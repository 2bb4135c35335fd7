import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { assert } from '../../base/assert.ts';
import { systemClock } from '../../base/clock.ts';
import { until } from './until.ts';
import type { Workspace } from './workspace.ts';

const logCharactersMax = 1 << 20;
const logTailLines = 30;
const readyMsMax = 30_000;
const askMsMax = 2_000;
const stopMsMax = 10_000;

/** Children still running: ended by their ids when this process ends before its tests do. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface ProcessOptions {
  /** Program and arguments. */
  command: [string, ...string[]];
  /** Name in error messages. */
  name: string;
  /** Working folder of the child. */
  folder: string;
  /** Ready when this answers 200. */
  readyUrl: string;
  /** Asks that; in place of us, where we cannot reach it. */
  isReady?(url: string): Promise<boolean>;
  /** Added to our own environment. */
  environment?: Record<string, string>;
}

/** A real program run by a test. Not `Disposable`: its workspace ends it. */
export interface RunningProcess {
  readonly id: number;
  /** All that stdout and stderr have said, the oldest cut off beyond one MiB. */
  log(): string;
  /** Resolves when the log holds `text`. */
  waitForLog(text: string, deadlineMs: number): Promise<void>;
  /** SIGTERM, after ten seconds SIGKILL; resolves with the exit code, null after a signal. */
  stop(): Promise<number | null>;
  /** SIGKILL, as a power cut would. */
  kill(): Promise<void>;
}

/** Starts a program and resolves when it is ready; `workspace` ends it. */
export async function startProcess(
  workspace: Workspace,
  options: ProcessOptions,
): Promise<RunningProcess> {
  const [program, ...args] = options.command;
  const child = spawn(program, args, {
    cwd: options.folder,
    env: { ...process.env, ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await once(child, 'spawn');
  const started = track(child, options.name);
  workspace.onClose(async () => {
    await started.stop();
  });
  try {
    await until(`${options.name} to be ready`, readyMsMax, () => {
      if (!running.has(child)) throw new Error(`${options.name} ended before it was ready`);
      return (options.isReady ?? answersOk)(options.readyUrl);
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}; its log ends:\n${tail(started.log())}`);
  }
  return started;
}

function track(child: ChildProcess, name: string): RunningProcess {
  assert(child.pid !== undefined, `${name} was spawned without a process id`);
  running.add(child);
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => {
      running.delete(child);
      resolve();
    });
  });
  const log = collectLog(child);
  const waitForLog = (text: string, deadlineMs: number) =>
    until(`${name} to log ${JSON.stringify(text)}`, deadlineMs, () => log().includes(text));
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  const stop = async () => {
    child.kill('SIGTERM');
    const patience = new AbortController();
    await Promise.race([exited, systemClock.sleep(stopMsMax, patience.signal)]);
    patience.abort();
    await kill();
    return child.exitCode;
  };
  return { id: child.pid, log, waitForLog, stop, kill };
}

function collectLog(child: ChildProcess): () => string {
  let text = '';
  const append = (chunk: string) => {
    text = (text + chunk).slice(-logCharactersMax);
  };
  child.stdout?.setEncoding('utf8').on('data', append);
  child.stderr?.setEncoding('utf8').on('data', append);
  return () => text;
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(askMsMax) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}

function tail(log: string): string {
  return log.trimEnd().split('\n').slice(-logTailLines).join('\n');
}
