import { readFileSync } from 'node:fs';
import { debianProgram } from './debian.ts';
import { until } from './until.ts';

/** Those that bring a request, store something, and answer. */
const TRACED = [
  ['read', 'recvfrom', 'recvmsg'],
  ['write', 'writev', 'pwrite64', 'pwritev', 'sendto', 'sendmsg'],
  ['fsync', 'fdatasync', 'sync_file_range', 'msync'],
].flat();
/** A page of SQLite and its header, each byte written as up to four characters. */
const CONTENT_BYTES_MAX = 20_000;
const END_MS_MAX = 20_000;

/** Name, file behind the descriptor, and the rest: no `>` within a name is followed by these. */
const BEGINNING = /^(\w+)\(\d+<(.*?)>([,)].*| <unfinished \.\.\.>)$/;

/** A system call of a traced program on a file or a socket. */
export interface SystemCall {
  name: string;
  /** Path of the file; `socket:[…]` for a socket. */
  file: string;
  /** Its arguments with the content as strace shows it: text that is ASCII stands as it is. */
  args: string;
  /** Places in the order of all calls of all threads: of its beginning and of its end. */
  beganAt: number;
  endedAt: number;
  /** What it returned; undefined when the program ended before. */
  result: string | undefined;
}

/**
 * Program and arguments that run a program under strace, to be put before its command. The program
 * itself gets the signals; what it does is written to `path`.
 */
export async function tracedTo(path: string): Promise<string[]> {
  const strace = await debianProgram('strace');
  const what = ['-e', `trace=${TRACED.join(',')}`, '-s', String(CONTENT_BYTES_MAX)];
  return [strace, '-D', '-f', '-y', '--seccomp-bpf', '-o', path, ...what];
}

/** Waits until the program that `tracedTo` ran has ended; what it has done, in order. */
export async function readTrace(path: string): Promise<SystemCall[]> {
  const trace = (): string => readFileSync(path, 'latin1');
  const isOver = (): boolean => {
    const [program] = trace().split(' ', 1);
    return new RegExp(`^${program} +\\+\\+\\+ (killed|exited)`, 'm').test(trace());
  };
  await until('the traced program to have ended', END_MS_MAX, isOver);
  return parseTrace(trace());
}

/** Reads what `strace -f -y` has written. */
export function parseTrace(trace: string): SystemCall[] {
  const calls: SystemCall[] = [];
  /** By thread. */
  const unfinished = new Map<string, SystemCall>();
  for (const [at, line] of trace.split('\n').entries()) {
    const [, thread, text] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (thread === undefined || text === undefined) continue;
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(text)?.[1];
    const before = unfinished.get(thread);
    if (resumed !== undefined && before !== undefined) {
      finish(before, resumed, at);
      unfinished.delete(thread);
      continue;
    }
    const [, name, file, rest] = BEGINNING.exec(text) ?? [];
    if (name === undefined || file === undefined || rest === undefined) continue;
    const call: SystemCall = { name, file, args: '', beganAt: at, endedAt: at, result: undefined };
    calls.push(call);
    const begun = /^(.*) <unfinished \.\.\.>$/.exec(rest)?.[1];
    if (begun === undefined) finish(call, rest, at);
    else {
      call.args = begun;
      unfinished.set(thread, call);
    }
  }
  return calls;
}

function finish(call: SystemCall, rest: string, at: number): void {
  const [, args, result] = /^(.*)\) += (-?\d+.*)$/.exec(rest) ?? [];
  call.args += args ?? rest;
  call.result = result;
  call.endedAt = at;
}

const SYNCS = ['fsync', 'fdatasync'];

export interface Promised {
  /** Text in the request, which is in what is stored as well. */
  marker: string;
  /** Path of the file that has to hold it. */
  file: string;
  /** Text at the beginning of the request, and of its answer. */
  request: string;
  answer: string;
}

/**
 * Why the answer to a request is no promise, judged by what the program has done in which order;
 * undefined when, between the arrival of the request and the beginning of its answer, what it
 * brought was written to the file, and the file synced after its last write. Requests must come one
 * by one.
 */
export function brokenPromise(
  calls: readonly SystemCall[],
  { marker, file, request, answer }: Promised,
): string | undefined {
  const isSocket = (call: SystemCall): boolean => call.file.startsWith('socket:');
  const writes = calls.filter((call) => call.file === file && call.args.includes(marker));
  const [stored] = writes;
  if (stored === undefined) return `${marker} was not written to ${file}`;
  const arrived = calls.findLast(
    (call) => isSocket(call) && call.args.includes(request) && call.endedAt < stored.beganAt,
  );
  if (arrived === undefined) return `nothing arrived before ${marker} was written`;
  const answered = calls.find(
    (call) => isSocket(call) && call.args.includes(answer) && call.beganAt > arrived.endedAt,
  );
  if (answered === undefined) return `nobody answered the request with ${marker}`;
  if (answered.beganAt < stored.endedAt) return `it was answered before ${marker} was written`;
  const lastWrite = calls.findLast(
    (call) => call.file === file && !SYNCS.includes(call.name) && call.beganAt < answered.beganAt,
  );
  const isSynced = calls.some(
    (call) =>
      SYNCS.includes(call.name) &&
      call.file === file &&
      call.result === '0' &&
      call.beganAt > lastWrite!.endedAt &&
      call.endedAt < answered.beganAt,
  );
  return isSynced ? undefined : `it was answered before ${file} was synced with ${marker}`;
}
