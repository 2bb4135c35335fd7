import { pino } from 'pino';
import type { Log } from '../../base/log.ts';

/**
 * A real log that keeps its lines instead of printing them.
 *
 * @param stamp what to add to each line
 */
export function memoryLog(stamp: () => object = () => ({})): {
  log: Log;
  lines: Record<string, unknown>[];
} {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => void lines.push({ ...JSON.parse(line), ...stamp() });
  const log = pino({}, { write });
  return { log, lines };
}
