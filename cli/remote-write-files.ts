import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeMetadataRequest } from '../proto/metadata-out.ts';
import { WriteRequestEncoder } from '../proto/remote-write-out.ts';
import type { SampleFiles } from './buffer-export.ts';
import { tenantName } from './buffer-names.ts';

/** A body that every receiver takes. */
const SAMPLES_MAX = 5000;

interface Open {
  encoder: WriteRequestEncoder;
  samples: number;
  bodies: number;
  labels: Uint8Array | undefined;
  metadata: Uint8Array[];
}

/**
 * Bodies of remote write 1.0, compressed with snappy as they are posted: one folder for each tenant,
 * numbered in the order in which they have to go.
 */
export class RemoteWriteFiles implements SampleFiles {
  readonly #folder: string;
  readonly #tenants = new Map<string, Open>();

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  sample(tenant: string, labels: Uint8Array, timestamp: number, low: number, high: number): void {
    const open = this.#open(tenant);
    if (open.labels !== labels) {
      open.encoder.series(labels, 0, labels.length);
      open.labels = labels;
    }
    open.encoder.sample(timestamp, low, high);
    if (++open.samples === SAMPLES_MAX) this.#writeBody(tenant, open);
  }

  metadata(tenant: string, record: Uint8Array): void {
    this.#open(tenant).metadata.push(record);
  }

  finish(): string[] {
    for (const [tenant, open] of this.#tenants) {
      if (open.samples > 0) this.#writeBody(tenant, open);
      if (open.metadata.length === 0) continue;
      this.#write(tenant, 'metadata.snappy', encodeMetadataRequest(open.metadata));
    }
    return [];
  }

  #open(tenant: string): Open {
    let open = this.#tenants.get(tenant);
    if (open === undefined) {
      const encoder = new WriteRequestEncoder();
      open = { encoder, samples: 0, bodies: 0, labels: undefined, metadata: [] };
      this.#tenants.set(tenant, open);
      mkdirSync(join(this.#folder, tenantName(tenant)), { recursive: true });
    }
    return open;
  }

  #writeBody(tenant: string, open: Open): void {
    open.bodies++;
    this.#write(tenant, `${String(open.bodies).padStart(8, '0')}.snappy`, open.encoder.finish());
    open.samples = 0;
    open.labels = undefined;
  }

  #write(tenant: string, name: string, body: Uint8Array): void {
    writeFileSync(join(this.#folder, tenantName(tenant), name), body);
  }
}
