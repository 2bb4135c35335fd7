import { forEachLabel } from '../../proto/label-set.ts';
import { decodeMetadata } from '../../proto/metric-metadata.ts';
import { readExemplar } from '../../proto/objects/exemplar.ts';
import { fieldsByNumber } from '../../proto/objects/fields.ts';
import { type PartialWriteSink, PartialWriteWalker } from '../../proto/remote-write/walker-2.ts';

export const walker = new PartialWriteWalker();

/** What a walk sees, in order and in a form that can be compared. */
export class Recorder implements PartialWriteSink {
  readonly seen: string[] = [];
  readonly messages: string[] = [];

  series(bytes: Uint8Array, from: number, to: number, samples: number): void {
    this.seen.push(`series ${shownLabels(bytes.subarray(from, to))} of ${samples}`);
  }

  malformedSeries(message: string, samples: number): void {
    this.seen.push(`malformed of ${samples}`);
    this.messages.push(message);
  }

  sample(timestamp: number, low: number, high: number, start: number): void {
    this.seen.push(`sample ${timestamp} ${(BigInt(high) << 32n) | BigInt(low)} from ${start}`);
  }

  histogram(bytes: Uint8Array, from: number, to: number, start: number): void {
    this.seen.push(`histogram ${hex(bytes.subarray(from, to))} from ${start}`);
  }

  exemplar(bytes: Uint8Array, from: number, to: number): void {
    const exemplar = readExemplar(bytes, from, to);
    this.seen.push(`exemplar ${exemplar.timestamp} ${shownExemplar(exemplar.bytes)}`);
  }

  malformedExemplar(message: string): void {
    this.seen.push('malformed exemplar');
    this.messages.push(message);
  }

  metadata(bytes: Uint8Array, from: number, to: number): void {
    const { type, family, help, unit } = decodeMetadata(bytes.slice(from, to));
    this.seen.push(`metadata ${type} ${JSON.stringify([family, help, unit])}`);
  }
}

/** Walks `bytes` in a larger scratch, as ingest does. */
export function walk(bytes: Uint8Array): Recorder {
  const scratch = new Uint8Array(bytes.length + 9).fill(0x0a);
  scratch.set(bytes);
  const recorder = new Recorder();
  walker.walk(scratch, bytes.length, recorder);
  return recorder;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function shownLabels(bytes: Uint8Array): string {
  const shown: string[] = [];
  forEachLabel(bytes, (name, value) => shown.push(`${hex(name)}=${hex(value)}`));
  return shown.join();
}

/** Labels and value of an exemplar in its canonical form. */
function shownExemplar(bytes: Uint8Array): string {
  const fields = fieldsByNumber(bytes);
  const value = fields.find(({ number }) => number === 2);
  const labels = bytes.subarray(0, value?.from ?? bytes.length);
  const bits = value === undefined ? 0n : Buffer.from(bytes).readBigUInt64LE(value.from + 1);
  return `${shownLabels(labels)} ${bits}`;
}
