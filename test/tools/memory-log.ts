import { pino } from 'pino';
import type { Log } from '../../base/log.ts';

/** A real log that keeps its lines instead of printing them. */
export function memoryLog(): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { log, lines };
}
