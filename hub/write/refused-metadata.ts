import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import { decodeMetadata } from '../../proto/metric-metadata.ts';
import { cut } from './account.ts';

/** Limits are raised, and destinations mended: every record has another chance after a day. */
const REMEMBERED_MS = 86_400_000;
/** About 150 bytes each. */
const RECORDS_MAX = 10_000;

/** Metadata records that the destination has refused: each is left out until it changes. */
export class RefusedMetadata {
  readonly #clock: Clock;
  readonly #log: BoundedLog;
  /** When each was refused, the longest ago first; by tenant and hash of the record. */
  readonly #records = new Map<string, number>();

  constructor({ clock, log }: { clock: Clock; log: BoundedLog }) {
    this.#clock = clock;
    this.#log = log;
  }

  has(tenant: string, record: Uint8Array): boolean {
    // A sender with thousands of families and nothing refused pays for no hash.
    if (this.#records.size === 0) return false;
    const atMs = this.#records.get(keyOf(tenant, record));
    return atMs !== undefined && this.#clock.elapsedMs() - atMs < REMEMBERED_MS;
  }

  /** @param message what the destination said to it alone */
  add(tenant: string, record: Uint8Array, message: string): void {
    const key = keyOf(tenant, record);
    this.#records.delete(key);
    this.#records.set(key, this.#clock.elapsedMs());
    const [oldest] = this.#records.keys();
    if (this.#records.size > RECORDS_MAX) this.#records.delete(oldest!);
    this.#log.warn(
      'metadata refused',
      { tenant, metric: decodeMetadata(record).family, answer: cut(message) },
      'the destination refuses the metadata of a metric (HELP, TYPE, UNIT): it is left out for a ' +
        'day or until it changes, samples are not concerned; shorten it, or raise ' +
        'max_metadata_length in the limits of the tenant (Cortex: 1024 bytes)',
    );
  }
}

function keyOf(tenant: string, record: Uint8Array): string {
  return `${createHash('sha256').update(record).digest('base64')} ${tenant}`;
}
