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

/** `hub.db.damaged-20261121T083954Z`, with a number behind it if there is one of that second. */
function freePath(path: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, '');
  for (let number = 1; ; number++) {
    const kept = `${path}.damaged-${time}${number === 1 ? '' : `-${number}`}`;
    if (!existsSync(kept) && !existsSync(`${kept}-wal`)) return kept;
  }
}

function removeOldest(path: string): void {
  const folder = dirname(path);
  const prefix = `${basename(path)}.damaged-`;
  const names = readdirSync(folder).filter((name) => name.startsWith(prefix));
  const kept = [...new Set(names.map((name) => name.replace(/-wal$/, '')))].sort(byAge(prefix));
  for (const name of kept.slice(0, -KEPT_MAX)) {
    for (const suffix of ['-wal', '']) rmSync(join(folder, name + suffix), { force: true });
  }
}

/** By the second, then by the number in it. */
function byAge(prefix: string): (one: string, other: string) => number {
  const ageOf = (name: string) => {
    const [time = '', number = '1'] = name.slice(prefix.length).split('-');
    return { time, number: Number(number) };
  };
  return (one, other) => {
    const [a, b] = [ageOf(one), ageOf(other)];
    return a.time < b.time ? -1 : a.time > b.time ? 1 : a.number - b.number;
  };
}
