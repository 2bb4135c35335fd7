import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** A disk that damages a file again and again must not fill up with its copies. */
const KEPT_MAX = 3;

/**
 * Renames a database that cannot be used to `…damaged-TIME`, and its write-ahead log with it, for
 * somebody to look at; the latest three are kept. Returns the new path, undefined when there was no
 * file any more.
 *
 * @throws errors of the file system when nothing can be renamed
 */
export function setFilesAside(path: string, nowMs: number): string | undefined {
  const kept = freePath(path, nowMs);
  let isAnyThere = false;
  // The log first: without its database it is nothing, and a database takes no log of another.
  for (const suffix of ['-wal', '']) {
    if (!existsSync(path + suffix)) continue;
    renameSync(path + suffix, kept + suffix);
    isAnyThere = true;
  }
  rmSync(`${path}-shm`, { force: true });
  removeOldest(path);
  return isAnyThere ? kept : undefined;
}

/** `hub.db.damaged-20261121T083954Z-1`: the time, and a number that tells those of a second apart. */
function freePath(path: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, '');
  const numbers = keptOf(path)
    .filter((kept) => kept.time === time)
    .map(({ number }) => number);
  return `${path}.damaged-${time}-${Math.max(0, ...numbers) + 1}`;
}

function removeOldest(path: string): void {
  for (const { name } of keptOf(path).slice(0, -KEPT_MAX)) {
    for (const suffix of ['-wal', '']) rmSync(join(dirname(path), name + suffix), { force: true });
  }
}

/** What was set aside so far, oldest first. */
function keptOf(path: string): { name: string; time: string; number: number }[] {
  const prefix = `${basename(path)}.damaged-`;
  const names = readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.replace(/-wal$/, ''));
  return [...new Set(names)]
    .map((name) => {
      const [time = '', number = ''] = name.slice(prefix.length).split('-');
      return { name, time, number: Number(number) };
    })
    .sort((one, other) => one.time.localeCompare(other.time) || one.number - other.number);
}
