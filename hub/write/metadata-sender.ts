import type { Clock } from '../../base/clock.ts';
import type { BoundedLog } from '../../base/log.ts';
import { encodeMetadataRequest } from '../../proto/remote-write/metadata-out.ts';
import type { Post } from './post.ts';

/** What is known of the metric families of one tenant. */
export interface TenantMetadata {
  tenant: string;
  /** Canonical MetricMetadata by family. */
  records: ReadonlyMap<string, Uint8Array>;
}

export interface MetadataSenderDeps {
  post: Post;
  clock: Clock;
  log: BoundedLog;
}

/** As Prometheus does: metadata_config.send_interval and max_samples_per_send. */
const SEND_EVERY_MS = 60_000;
const RECORDS_PER_REQUEST_MAX = 2000;

/**
 * Tells the destination at intervals what it has forgotten: destinations keep HELP, TYPE and UNIT
 * in memory only. It crosses the border once, and from here as often as Prometheus would send it.
 * Always in version 1.0: in 2.0 metadata hangs on a TimeSeries with samples, and it is known here by
 * family, not by series.
 *
 * Metadata is no sample: a failure is logged and mended by the next round.
 */
export async function sendMetadata(
  known: () => Iterable<TenantMetadata>,
  { post, clock, log }: MetadataSenderDeps,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await clock.sleep(SEND_EVERY_MS, signal);
    for (const { tenant, records } of known()) {
      const all = [...records.values()];
      for (let from = 0; from < all.length; from += RECORDS_PER_REQUEST_MAX) {
        if (signal.aborted) return;
        const body = encodeMetadataRequest(all.slice(from, from + RECORDS_PER_REQUEST_MAX));
        const result = await post({ tenant, protocol: 'v1', body, attempt: 0, signal });
        const isDone = result.kind === 'answer' && result.status < 300;
        if (isDone || signal.aborted) continue;
        log.warn(
          'metadata',
          { tenant, answer: result.kind === 'answer' ? result.body : result.message },
          'the destination has not taken metadata (HELP, TYPE): it is sent again in a minute',
        );
      }
    }
    if (signal.aborted) return;
  }
}
