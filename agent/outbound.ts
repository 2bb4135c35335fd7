import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Buffer } from './buffer/buffer.ts';
import type { PackHead } from './buffer/pack-table.ts';
import { encodePackBatch } from './encode/pack-maker.ts';
import { encodeDictionaryBatch, encodeHeartbeat, StreamEncoder } from './encode/stream-encoder.ts';
import type { HubClock } from './hub-clock.ts';
import { nameSeries, recodePack, splitPack } from './pack-split.ts';
import { type PackingOptions, packBacklog, packSegment } from './packing.ts';
import { Parking } from './parking.ts';
import type { SampleLog, ShipOptions } from './ship/contracts.ts';
import type { HubLink } from './ship/hub-client.ts';
import type { ShipStats } from './ship/ship-stats.ts';
import { Shipper } from './ship/shipper.ts';
import { TargetKeys } from './target-keys.ts';

export interface OutboundDeps {
  buffer: Buffer;
  /** The buffer as shipping sees it. */
  samples: SampleLog;
  link: HubLink;
  /** Counted on from here. */
  stats?: ShipStats;
  clock: Clock;
  hubClock: HubClock;
  random: Random;
  log: Log;
}

/** Joins buffer, encode and ship: all that happens to samples once they are stored. */
export class Outbound {
  readonly shipper: Shipper;
  readonly #packing: PackingOptions;
  readonly #deps: OutboundDeps;
  readonly #targets: TargetKeys;
  readonly #parking: Parking;

  constructor(options: { ship: ShipOptions; packing: PackingOptions }, deps: OutboundDeps) {
    const { buffer, clock, random } = deps;
    const { run } = buffer;
    this.#deps = deps;
    this.#packing = options.packing;
    this.#targets = new TargetKeys(buffer);
    const packParts = { ...deps, targets: this.#targets };
    this.#parking = new Parking(packParts);
    const findPack = (tenant: string, key: number): PackHead | undefined =>
      buffer.packs(tenant).find((pack) => pack.key === key);
    this.shipper = new Shipper(options.ship, {
      ...deps,
      storedBefore: buffer.storedBefore,
      splitPack: (tenant, key, bytesMax) => {
        const pack = findPack(tenant, key);
        return pack !== undefined && splitPack(pack, bytesMax, packParts);
      },
      packSegment: (tenant, id) => packSegment(tenant, id, packParts),
      nameSeries: (tenant, key) => {
        const pack = findPack(tenant, key);
        return pack && nameSeries(pack, buffer);
      },
      recodePack: (tenant, key, format) => {
        const pack = findPack(tenant, key);
        return pack !== undefined && recodePack(pack, format, packParts);
      },
      parkSegments: (segments, window) => this.#parking.parkSegments(segments, window),
      parkTooLarge: (tenant, key) => {
        const pack = findPack(tenant, key);
        return pack !== undefined && this.#parking.parkTooLarge(pack);
      },
      parkPack: (tenant, key, window) => {
        const pack = findPack(tenant, key);
        return pack !== undefined && this.#parking.parkPack(pack, window);
      },
      encoding: {
        openStream: (keyframe) =>
          new StreamEncoder(random.id64(), run, keyframe, this.#targets.keysOf(keyframe.epoch)),
        packBatch: (pack) => encodePackBatch({ run, ...pack }, clock.now()),
        dictionaryBatch: (epoch, epochsInUse, dictionary) =>
          encodeDictionaryBatch({ run, epoch, epochsInUse, dictionary }, clock.now()),
        heartbeat: () => encodeHeartbeat(run, clock.now()),
      },
    });
  }

  /** Ships, packs and releases what was parked until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { shipper } = this;
    const packing = packBacklog(
      this.#packing,
      {
        ...this.#deps,
        targets: this.#targets,
        backlogEnd: (tenant) => shipper.backlogEnd(tenant),
        onPacked: () => shipper.wake(),
      },
      signal,
    );
    const parking = this.#parking.run(
      (tenant) => shipper.windowOf(tenant),
      () => shipper.wake(),
      signal,
    );
    await Promise.all([shipper.run(signal), packing, parking]);
  }
}
