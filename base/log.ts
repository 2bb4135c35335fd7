import { type Logger, pino } from 'pino';
import type { Clock } from './clock.ts';

export type Log = Logger;

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Under which all threads of the agent log: a filter on it must miss none of their lines. */
export const AGENT_LOG_NAME = 'starferry-agent';

/** JSON lines on standard output, one per event; `name` tells agent and hub apart. */
export function createLog({ level, name }: { level: LogLevel; name: string }): Log {
  // The host name and process id of pino's default say nothing that the log collector lacks.
  return pino({ name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime });
}

/** A log that a fault repeated a thousand times a second cannot flood. */
export interface BoundedLog {
  warn(key: string, fields: object, message: string): void;
  error(key: string, fields: object, message: string): void;
}

/** Keys name kinds of events, not peers or messages; beyond this many they share one allowance. */
const KEYS_MAX = 1000;

interface Allowance {
  startedMs: number;
  passed: number;
  withheld: number;
}

/**
 * Passes at most `perMinute` lines a minute for each key. The first line of a later minute says
 * how many were `withheld` since the last one that passed.
 */
export function boundedLog(
  log: Log,
  { perMinute }: { perMinute: number },
  clock: Clock,
): BoundedLog {
  const allowances = new Map<string, Allowance>();

  /** The number withheld so far if a line may pass now, otherwise undefined. */
  function admit(key: string): number | undefined {
    const bounded = allowances.has(key) || allowances.size < KEYS_MAX ? key : '';
    const nowMs = clock.elapsedMs();
    const allowance = allowances.get(bounded) ?? { startedMs: nowMs, passed: 0, withheld: 0 };
    allowances.set(bounded, allowance);
    if (nowMs - allowance.startedMs >= 60_000) {
      allowance.startedMs = nowMs;
      allowance.passed = 0;
    }
    if (allowance.passed >= perMinute) {
      allowance.withheld++;
      return undefined;
    }
    allowance.passed++;
    const withheld = allowance.withheld;
    allowance.withheld = 0;
    return withheld;
  }

  function write(level: 'warn' | 'error', key: string, fields: object, message: string): void {
    const withheld = admit(key);
    if (withheld === undefined) return;
    log[level](withheld === 0 ? fields : { ...fields, withheld }, message);
  }

  return {
    warn: (key, fields, message) => write('warn', key, fields, message),
    error: (key, fields, message) => write('error', key, fields, message),
  };
}
