import { join } from 'node:path';
import type { Log } from '../../base/log.ts';
import { TimeZone } from '../../base/time-zone.ts';
import type { LinkConfig, LinkQuota } from '../link-config.ts';
import type { Traffic } from './link-turns.ts';
import { LinkUsage } from './link-usage.ts';

export interface QuotaStats extends LinkQuota {
  usedBytes: number;
  resetsAtMs: number;
}

export type QuotaName = 'daily_quota' | 'monthly_quota';
const NAMES = { day: 'daily_quota', month: 'monthly_quota' } as const;

/** What days and months allow on the link, and what has been used of it. */
export class LinkQuotas {
  readonly #quotas: readonly LinkQuota[];
  readonly #zone: TimeZone;
  readonly #usage: LinkUsage;
  readonly #log: Log;
  /** What the link had carried at the last look. */
  #countedBytes = 0;
  /** Day or month in which a line said that it is used up, by quota and traffic. */
  readonly #announced = new Map<string, string>();

  constructor(
    { quotas, timeZone }: Pick<LinkConfig, 'quotas' | 'timeZone'>,
    { dataDir, log }: { dataDir: string; log: Log },
  ) {
    this.#quotas = quotas;
    this.#zone = new TimeZone(timeZone);
    this.#usage = new LinkUsage(join(dataDir, 'link-usage.jsonl'), log);
    this.#log = log;
  }

  /** @param linkBytes what has crossed the link since the start of the process, both ways */
  count(nowMs: number, linkBytes: number): void {
    const crossed = linkBytes - this.#countedBytes;
    this.#countedBytes = linkBytes;
    for (const { period } of this.#quotas) this.#usage.add(this.#zone.at(nowMs)[period], crossed);
  }

  /**
   * The quota into which a body of `bodyBytes` does not fit any more; undefined when it may begin.
   * One that is larger than half of all there is would not fit for the rest of time: it may begin
   * while half is left.
   *
   * @param underWayBytes what bodies that have begun still have to send
   */
  holding(
    traffic: Traffic,
    bodyBytes: number,
    underWayBytes: number,
    nowMs: number,
  ): QuotaName | undefined {
    for (const quota of this.#quotas) {
      const allowed = quota.bytesMax - (traffic === 'live' ? 0 : quota.reserveBytes);
      const left = allowed - this.#usedOf(quota, nowMs) - underWayBytes;
      if (left > 0 && left >= Math.min(bodyBytes, allowed / 2)) continue;
      this.#announce(quota, traffic, nowMs);
      return NAMES[quota.period];
    }
    return undefined;
  }

  /** To be called about once a second, and at the end. */
  save(): void {
    this.#usage.save();
  }

  stats(nowMs: number): QuotaStats[] {
    return this.#quotas.map((quota) => ({
      ...quota,
      usedBytes: this.#usedOf(quota, nowMs),
      resetsAtMs: this.#zone.endOf(quota.period, nowMs),
    }));
  }

  #usedOf({ period }: LinkQuota, nowMs: number): number {
    return this.#usage.bytesIn(this.#zone.at(nowMs)[period]);
  }

  /** Once for each quota, traffic and day or month. */
  #announce(quota: LinkQuota, traffic: Traffic, nowMs: number): void {
    const key = `${quota.period} ${traffic}`;
    const current = this.#zone.at(nowMs)[quota.period];
    if (this.#announced.get(key) === current) return;
    this.#announced.set(key, current);
    this.#log.warn(
      {
        quota: `link.${NAMES[quota.period]}`,
        waits: traffic,
        usedBytes: this.#usedOf(quota, nowMs),
        quotaBytes: quota.bytesMax,
        liveReserveBytes: quota.reserveBytes,
        resets: new Date(this.#zone.endOf(quota.period, nowMs)).toISOString(),
      },
      'a quota of the link is used up: samples wait in the buffer until it resets',
    );
  }
}
