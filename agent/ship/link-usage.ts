import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import type { Log } from '../../base/log.ts';

const lineSchema = z.object({ period: z.string(), bytes: z.int().nonnegative() });

/**
 * Days and months that are remembered: a machine that starts in the year 2000, before its clock
 * is set, must find the present month again.
 */
const PERIODS_MAX = 8;

/**
 * Bytes used in each day and month, by name; durable without being synced, since a second of
 * traffic more or less does no harm. One line of JSON a period, so that a file that was cut off
 * still says something.
 */
export class LinkUsage {
  readonly #path: string;
  /** The one used last comes last. */
  readonly #bytes: Map<string, number>;
  #isSaved = true;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#bytes = new Map(readUsage(path, log));
  }

  bytesIn(period: string): number {
    return this.#bytes.get(period) ?? 0;
  }

  add(period: string, bytes: number): void {
    if (bytes === 0) return;
    const used = this.bytesIn(period) + bytes;
    this.#bytes.delete(period);
    this.#bytes.set(period, used);
    for (const oldest of this.#bytes.keys()) {
      if (this.#bytes.size <= PERIODS_MAX) break;
      this.#bytes.delete(oldest);
    }
    this.#isSaved = false;
  }

  save(): void {
    if (this.#isSaved) return;
    const lines = Array.from(this.#bytes, ([period, bytes]) => JSON.stringify({ period, bytes }));
    try {
      // By another name first: a crash in between must not forget the month.
      writeFileSync(`${this.#path}.new`, `${lines.join('\n')}\n`);
      renameSync(`${this.#path}.new`, this.#path);
      this.#isSaved = true;
    } catch {
      // The next second tries again; the buffer on that disk says loudly what is wrong with it.
    }
  }
}

function readUsage(path: string, log: Log): [string, number][] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
      log.warn({ path, err: error }, `${UNREADABLE} nothing`);
    }
    return [];
  }
  const lines = text.replace(/\n$/, '').split('\n').map(readLine);
  const readable = lines.filter((line) => line !== undefined);
  if (readable.length < lines.length) {
    log.warn({ path, counted: Object.fromEntries(readable) }, `${UNREADABLE} what can be read`);
  }
  return readable;
}

const UNREADABLE = 'what was used of the quotas of the link cannot be read: counted is';

function readLine(line: string): [string, number] | undefined {
  try {
    const { period, bytes } = lineSchema.parse(JSON.parse(line));
    return [period, bytes];
  } catch {
    return undefined;
  }
}
