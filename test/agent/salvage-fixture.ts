import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import { decodeEntry } from '../../proto/dictionary-entry.ts';
import { formatLabelSet } from '../../proto/label-set.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { seededRandom } from '../tools/seeded-random.ts';
import { openBuffer, powerCut, rowsOf, seriesEntries, T0 } from './buffer-fixture.ts';

/** A sample as it must come out again. */
export interface KnownSample {
  tenant: string;
  /** Epoch and id of its series in the dictionary it was stored with, `0 17`. */
  entry: string;
  /** Run and sequence of its segment. */
  position: string;
  timestamp: number;
  /** Everything that tells it from others: tenant, position, labels, timestamp and bits. */
  key: string;
}

/** Files of a buffer, and what is in it. */
export interface StoredState {
  dataDir: string;
  /** Acknowledged to senders and not to the agent, in the order of storing. */
  waiting: KnownSample[];
  /** Acknowledged to the agent: to see it again does no harm. */
  answered: KnownSample[];
}

export interface FilledBuffer {
  /** As it lies on the disk when the process is killed: much of it in the write-ahead log. */
  killed: StoredState;
  /** After the process has ended in good order; some pages are free. */
  closed: StoredState;
  /** An early copy. */
  older: string;
}

export const TENANTS = ['', 'a', 'b'];
const LONG = 'x'.repeat(6000);

/** What a sender does, with every sample known: each has a timestamp and bits of its own. */
export class Filler {
  readonly samples: KnownSample[] = [];
  readonly #random;
  #count = 0;
  #names: string[] = [];
  #epoch = 0;
  #taken = 0;
  readonly #heads = new Map<string, number>();

  constructor(seed: string) {
    this.#random = seededRandom(seed);
  }

  /** Series of the next appends have ids of a new epoch. */
  openEpoch(buffer: SampleBuffer): void {
    buffer.openEpoch();
    this.#names = [];
    this.#epoch++;
    this.#taken = 0;
  }

  /** After a restart the table of series is what the buffer has. */
  restart(buffer: SampleBuffer): void {
    this.#names = namesOf(buffer.dictionary);
    this.#taken = this.#names.length;
    this.#epoch = buffer.dictionary.key - 1;
  }

  /** Appends `samples` of one tenant with a few new series; returns what the buffer says. */
  append(buffer: SampleBuffer, tenant: string, samples: number): string | undefined {
    for (let count = 0; count < 4; count++) {
      const number = this.#names.length;
      this.#names.push(`series_${this.#epoch}_${number}${number % 50 === 7 ? LONG : ''}`);
    }
    const columns = new SampleColumns(samples);
    const run = buffer.run.toString(16).padStart(16, '0');
    const sequence = (this.#heads.get(`${run} ${tenant}`) ?? 0) + 1;
    const position = `${run} ${sequence}`;
    const known: KnownSample[] = [];
    for (let row = 0; row < samples; row++) {
      const id = Math.floor(this.#random.float() * this.#names.length);
      const timestamp = T0 + this.#count++;
      const bits = this.#random.id64();
      const [low, high] = [Number(BigInt.asUintN(32, bits)), Number(bits >> 32n)];
      columns.push(id, timestamp, low, high);
      const key = keyOf(tenant, position, shortName(this.#names[id]!), [timestamp, low, high]);
      known.push({ tenant, entry: `${this.#epoch} ${id}`, position, timestamp, key });
    }
    const entries = seriesEntries(...this.#names.slice(this.#taken));
    const newEntries = { firstId: this.#taken, entries };
    const unavailable = buffer.append([{ tenant, columns, newEntries }]);
    this.#taken = this.#names.length;
    if (unavailable !== undefined) return unavailable;
    this.#heads.set(`${run} ${tenant}`, sequence);
    this.samples.push(...known);
    return undefined;
  }
}

function keyOf(tenant: string, position: string, name: string, rest: readonly number[]): string {
  return `${tenant} ${position} ${name} ${rest.join(' ')}`;
}

/** Long names fill pages of the dictionary; compared by the thousand they only need to differ. */
function shortName(name: string): string {
  return name.endsWith(LONG) ? `${name.slice(0, -LONG.length)}…` : name;
}

function nameOf(entry: Uint8Array): string {
  const decoded = decodeEntry(entry);
  if (decoded.kind !== 'series') throw new Error('no metadata here');
  return /"(.*)"/.exec(formatLabelSet(decoded.labels))![1]!;
}

/** A buffer with two runs, two epochs, three tenants, free pages and long rows, in three states. */
export function fillBuffer(folder: string): FilledBuffer {
  const dataDir = join(folder, 'data');
  mkdirSync(dataDir);
  const filler = new Filler('fill');
  const fill = (buffer: SampleBuffer, rounds: number): void => {
    for (let round = 0; round < rounds; round++) {
      const tenant = TENANTS[round % TENANTS.length]!;
      filler.append(buffer, tenant, round % 14 === 0 ? 1800 + round : 3 + (round % 40));
    }
  };
  const { buffer: first } = openBuffer(dataDir, 'one');
  fill(first, 48);
  first.acknowledge('', [{ run: first.run, first: 1, last: 4 }]);
  filler.openEpoch(first);
  fill(first, 24);
  first.housekeep();
  first.close();
  const older = join(folder, 'older');
  cpSync(dataDir, older, { recursive: true });

  const { buffer: second } = openBuffer(dataDir, 'two');
  filler.restart(second);
  fill(second, 21);
  second.acknowledge('', [{ run: first.run, first: 5, last: 8 }]);
  fill(second, 3);
  const killed = powerCut(dataDir);
  second.acknowledge('', [{ run: first.run, first: 9, last: 16 }]);
  second.close();
  const run = first.run.toString(16).padStart(16, '0');
  const state = (folder: string, answeredUpTo: number): StoredState => {
    const answered = new Set(
      Array.from({ length: answeredUpTo }, (_, index) => `${run} ${index + 1}`),
    );
    const parts = Map.groupBy(filler.samples, ({ tenant, position }) =>
      tenant === '' && answered.has(position) ? 'answered' : 'waiting',
    );
    return {
      dataDir: folder,
      waiting: parts.get('waiting')!,
      answered: parts.get('answered')!,
    };
  };
  return { killed: state(killed, 8), closed: state(dataDir, 16), older };
}

function namesOf(log: { entries(): Iterable<Uint8Array> }): string[] {
  return Array.from(log.entries(), nameOf);
}

/** Takes everything out of a buffer, as the shipping would. */
export function drain(buffer: SampleBuffer): KnownSample[] {
  const samples: KnownSample[] = [];
  const namesByLog = new Map<object, string[]>();
  for (const tenant of [...buffer.backlog.keys()]) {
    for (let left = buffer.backlog.get(tenant) ?? 0; left > 0; ) {
      const segments = buffer.read(tenant, 10_000);
      const log = buffer.dictionaryOfEpoch(segments[0]!.epoch);
      let names = namesByLog.get(log);
      if (names === undefined) {
        names = namesOf(log).map(shortName);
        namesByLog.set(log, names);
      }
      for (const segment of segments) {
        if (segment.epoch !== log.key) throw new Error('a segment of another epoch in the batch');
        const position = `${segment.run} ${segment.sequence}`;
        for (const [id, ...rest] of rowsOf([segment])) {
          const name = names[id!];
          if (name === undefined) throw new Error(`no entry ${id}`);
          const key = keyOf(tenant, position, name, rest);
          samples.push({ tenant, entry: '', position, timestamp: rest[0]!, key });
        }
      }
      const ranges = segments.map(({ run, sequence }) => {
        return { run: BigInt(`0x${run}`), first: sequence, last: sequence };
      });
      buffer.acknowledge(tenant, ranges);
      buffer.pin(tenant, undefined);
      const now = buffer.backlog.get(tenant) ?? 0;
      if (now >= left) throw new Error(`${left} samples of ${tenant} wait and are not read`);
      left = now;
    }
  }
  return samples;
}
