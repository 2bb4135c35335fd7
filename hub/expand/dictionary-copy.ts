import { assert } from '../../base/assert.ts';
import { DecodeError } from '../../proto/bytes.ts';
import { decodeEntry } from '../../proto/dictionary-entry.ts';
import { hashLabels } from '../../proto/label-hash.ts';
import {
  canonicalLabelSet,
  encodeLabels,
  forEachLabel,
  type Label,
  labelValue,
} from '../../proto/label-set.ts';
import type { Replica } from '../../proto/remote-write/encoder-1.ts';
import { SeriesMarks } from '../../proto/series-marks.ts';
import { MetadataRecords } from './metadata-records.ts';
import { NumberedNames } from './numbered-names.ts';
import type { SeriesSource } from './series-source.ts';

export type AppendResult =
  | { kind: 'appended' }
  /** The entry is not one that an agent of ours writes; nothing was appended. */
  | { kind: 'malformed'; message: string };

/** Cortex elects one replica per cluster by these two labels. */
export interface ReplicaLabels {
  clusterLabel: string;
  replicaLabel: string;
}

const CHUNK_BYTES = 1 << 20;
/** Tenant number of an entry that names no series, and of an id beyond the log. */
const NO_TENANT = -1;
const NO_GROUP = 0;

/**
 * The hub's copy, in memory, of one agent's dictionary log of one epoch. The id of an entry is
 * its place in the log; metadata records occupy an id but name no series.
 *
 * About 24 bytes per entry besides its label bytes, which lie in chunks that never move: a held
 * request may go on referring to them while the log grows.
 */
export class DictionaryCopy implements SeriesSource {
  /** Entries in the copy, which is also the id of the next one. */
  length = 0;
  readonly marks = { samples: new SeriesMarks(), exemplars: new SeriesMarks() };
  readonly #labels: ReplicaLabels;
  readonly #tenants = new NumberedNames();
  readonly #groups = new NumberedNames();
  readonly #metadata = new MetadataRecords();
  readonly #chunks: Uint8Array[] = [new Uint8Array(CHUNK_BYTES)];
  /** Bytes used of the last chunk. */
  #chunkBytes = 0;
  /** Per entry; of a metadata record, where the next series' labels would have begun. */
  #chunkOf = new Uint32Array(1024);
  #fromOf = new Uint32Array(1024);
  #toOf = new Uint32Array(1024);
  #hashOf = new Uint32Array(1024);
  #groupOf = new Uint32Array(1024);
  #tenantOf = new Int32Array(1024);

  constructor(labels: ReplicaLabels) {
    this.#labels = labels;
  }

  /** Appends the canonical bytes of one entry of the log. */
  append(entry: Uint8Array): AppendResult {
    try {
      const decoded = decodeEntry(entry);
      if (decoded.kind === 'series') return this.#appendSeries(decoded.tenant, decoded.labels);
      this.#metadata.add(this.length, decoded.tenant, decoded.family, decoded.bytes);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      return { kind: 'malformed', message: `entry ${this.length}: ${error.message}` };
    }
    const id = this.#nextId();
    this.#tenantOf[id] = NO_TENANT;
    return { kind: 'appended' };
  }

  /** Takes back all entries from `length` on: the batch that brought them came to nothing. */
  truncate(length: number): void {
    assert(length >= 0 && length <= this.length, 'the dictionary cannot be truncated to more');
    if (length === this.length) return;
    this.#chunks.length = this.#chunkOf[length]! + 1;
    this.#chunkBytes = this.#fromOf[length]!;
    this.#tenants.truncate(length);
    this.#groups.truncate(length);
    this.#metadata.truncate(length);
    this.length = length;
  }

  /** Canonical MetricMetadata by family, of a tenant as the agent names it. */
  metadata(named: string): Map<string, Uint8Array> {
    return this.#metadata.latest(named);
  }

  /** Bytes of memory that the copy holds, about. */
  memoryBytes(): number {
    const { samples, exemplars } = this.marks;
    let bytes = this.#chunkOf.byteLength * 6 + samples.memoryBytes + exemplars.memoryBytes;
    for (const chunk of this.#chunks) bytes += chunk.length;
    return bytes;
  }

  tenantNumber(tenant: string): number {
    return this.#tenants.find(tenant);
  }

  tenantOf(id: number): number {
    return id < this.length ? this.#tenantOf[id]! : NO_TENANT;
  }

  labelChunk(id: number): Uint8Array {
    return this.#chunks[this.#chunkOf[id]!]!;
  }

  labelFrom(id: number): number {
    return this.#fromOf[id]!;
  }

  labelTo(id: number): number {
    return this.#toOf[id]!;
  }

  laneHash(id: number): number {
    return this.#hashOf[id]!;
  }

  replicaGroup(id: number): number {
    return this.#groupOf[id]!;
  }

  labelsWithoutReplica(id: number): Uint8Array {
    const rest: Label[] = [];
    const replicaLabel = Buffer.from(this.#labels.replicaLabel);
    forEachLabel(
      this.labelChunk(id),
      (name, value) => {
        if (!replicaLabel.equals(name)) rest.push({ name, value });
      },
      this.labelFrom(id),
      this.labelTo(id),
    );
    return encodeLabels(rest);
  }

  replicaOf(group: number): Replica {
    const name = this.#groups.name(group - 1);
    const blank = name.indexOf(' ');
    const from = blank + 1;
    const middle = from + Number(name.slice(0, blank));
    return { cluster: utf8(name.slice(from, middle)), replica: utf8(name.slice(middle)) };
  }

  #appendSeries(tenant: string, labels: Uint8Array): AppendResult {
    const canonical = canonicalLabelSet(labels, 0, labels.length);
    if (canonical.kind === 'refused') {
      return { kind: 'malformed', message: `entry ${this.length}: ${canonical.reason}` };
    }
    if (Buffer.compare(canonical.bytes, labels) !== 0) {
      return { kind: 'malformed', message: `entry ${this.length}: labels not canonical` };
    }
    this.#reserveLabels(labels.length);
    const id = this.#nextId();
    this.#chunks.at(-1)!.set(labels, this.#chunkBytes);
    this.#chunkBytes += labels.length;
    this.#toOf[id] = this.#chunkBytes;
    this.#hashOf[id] = hashLabels(labels);
    this.#groupOf[id] = this.#groupOfLabels(labels, id);
    this.#tenantOf[id] = this.#tenants.add(tenant, id);
    return { kind: 'appended' };
  }

  /** The labels of a series lie in one chunk; a larger set gets a chunk of its own size. */
  #reserveLabels(bytes: number): void {
    if (this.#chunkBytes + bytes <= this.#chunks.at(-1)!.length) return;
    this.#chunks.push(new Uint8Array(Math.max(CHUNK_BYTES, bytes)));
    this.#chunkBytes = 0;
  }

  #nextId(): number {
    const id = this.length;
    if (id === this.#chunkOf.length) this.#grow(id * 2);
    this.#chunkOf[id] = this.#chunks.length - 1;
    this.#fromOf[id] = this.#chunkBytes;
    this.length = id + 1;
    return id;
  }

  #grow(capacity: number): void {
    this.#chunkOf = grown(this.#chunkOf, capacity);
    this.#fromOf = grown(this.#fromOf, capacity);
    this.#toOf = grown(this.#toOf, capacity);
    this.#hashOf = grown(this.#hashOf, capacity);
    this.#groupOf = grown(this.#groupOf, capacity);
    const tenants = new Int32Array(capacity);
    tenants.set(this.#tenantOf);
    this.#tenantOf = tenants;
  }

  /** As Cortex sees it: a series takes part in the election only when it carries both labels. */
  #groupOfLabels(labels: Uint8Array, id: number): number {
    const cluster = labelValue(labels, this.#labels.clusterLabel);
    const replica = labelValue(labels, this.#labels.replicaLabel);
    if (cluster === undefined || replica === undefined) return NO_GROUP;
    return this.#groups.add(`${cluster.length} ${latin1(cluster)}${latin1(replica)}`, id) + 1;
  }
}

function grown(array: Uint32Array<ArrayBuffer>, capacity: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(capacity);
  larger.set(array);
  return larger;
}

/** One character per byte: distinct bytes make distinct strings, valid UTF-8 or not. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function utf8(latin1: string): string {
  return Buffer.from(latin1, 'latin1').toString('utf8');
}
