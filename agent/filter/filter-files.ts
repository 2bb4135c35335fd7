import { statSync } from 'node:fs';
import type { Clock } from '../../base/clock.ts';
import type { FilterConfig } from '../filter-config.ts';
import { type MetricsFile, readMetricsFile } from '../metrics-list.ts';

export interface FilterFilesDeps {
  clock: Clock;
  /** Ends the watch. */
  signal: AbortSignal;
  intervalMs: number;
  /** Called with the configuration that has the new entries. */
  onChange(config: FilterConfig): void;
  /** A file cannot be read or used: its old entries stay. Called once for each state of a file. */
  onError(message: string): void;
}

const FILES = [
  ['keep_metrics_file', 'keepMetricsFile'],
  ['drop_metrics_file', 'dropMetricsFile'],
] as const;

/**
 * Looks after the files of a filter until it is told to stop; both are looked at again at the
 * beginning, since they may have changed after the configuration was read. By looking and not by
 * notification, which does not come for what a symbolic link stands for or a network carries.
 */
export async function watchFilterFiles(config: FilterConfig, deps: FilterFilesDeps): Promise<void> {
  const marks = new Map<string, string>();
  let current = config;
  while (!deps.signal.aborted) {
    const next = lookAtFiles(current, marks, deps);
    if (next !== current) deps.onChange(next);
    current = next;
    await deps.clock.sleep(deps.intervalMs, deps.signal);
  }
}

function lookAtFiles(
  config: FilterConfig,
  marks: Map<string, string>,
  { onError }: FilterFilesDeps,
): FilterConfig {
  let next = config;
  for (const [key, field] of FILES) {
    const file = config[field];
    if (file === undefined) continue;
    const mark = markOf(file);
    if (marks.get(key) === mark) continue;
    marks.set(key, mark);
    const read = readMetricsFile('/', file.path);
    if ('problem' in read) onError(`${key}: ${file.path}: ${read.problem}`);
    else if (!isSame(read, file)) next = { ...next, [field]: read };
  }
  return next;
}

/** What changes when the file does; a file that cannot be looked at has the reason. */
function markOf({ path }: MetricsFile): string {
  try {
    const { mtimeNs, ctimeNs, size, ino } = statSync(path, { bigint: true });
    return [mtimeNs, ctimeNs, size, ino].join();
  } catch (error) {
    return String(error);
  }
}

function isSame(a: MetricsFile, b: MetricsFile): boolean {
  return a.entries.join('\n') === b.entries.join('\n');
}
