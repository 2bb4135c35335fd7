import { existsSync, statSync } from 'node:fs';
import type { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import { readWitness, walPath } from './data-folder.ts';

export const MOMENTS = [
  'before append',
  'after append',
  'before acknowledge',
  'after acknowledge',
  'before pack',
  'after pack',
] as const;

/** A moment between two steps of the buffer; after an append, what that added to the WAL. */
export type Moment =
  | { kind: Exclude<(typeof MOMENTS)[number], 'after append'> }
  | {
      kind: 'after append';
      walBytesBefore: number;
      walBytesAfter: number;
      witnessBefore: Buffer | undefined;
    };

export interface MomentDeps {
  dataDir: string;
  isDead(): boolean;
  /** The place for a crash, and for others to touch the files. */
  onMoment(moment: Moment): void;
  /** Samples that an append has kept. */
  onStored(samples: number): void;
  /** A pack took the place of segments. */
  onPacked(segments: number, samples: number): void;
  /** A step has thrown what the buffer should have turned into an answer: the process ends. */
  onThrown(error: unknown): void;
}

/** Tells of every moment between two steps of a buffer. */
export function watchMoments(buffer: SampleBuffer, deps: MomentDeps): void {
  const { dataDir, isDead, onMoment } = deps;
  const append = buffer.append.bind(buffer);
  buffer.append = (group) => {
    onMoment({ kind: 'before append' });
    // The dead write nothing, even if their group commit comes in a later turn.
    if (isDead()) return 'disk_failing';
    const walBytesBefore = walBytes(dataDir);
    const witnessBefore = readWitness(dataDir);
    let unavailable: ReturnType<typeof append>;
    try {
      unavailable = append(group);
    } catch (error) {
      deps.onThrown(error);
      return 'disk_failing';
    }
    if (unavailable === undefined) {
      deps.onStored(group.reduce((sum, { columns }) => sum + columns.count, 0));
    }
    const walBytesAfter = walBytes(dataDir);
    onMoment({ kind: 'after append', walBytesBefore, walBytesAfter, witnessBefore });
    return unavailable;
  };
  const storePack = buffer.storePack.bind(buffer);
  buffer.storePack = (segments, pack) => {
    onMoment({ kind: 'before pack' });
    // The dead write nothing.
    const isStored = !isDead() && storePack(segments, pack);
    if (isStored) deps.onPacked(segments.length, pack.samples);
    onMoment({ kind: 'after pack' });
    return isStored;
  };
  const storePacks = buffer.storePacks.bind(buffer);
  buffer.storePacks = (segments, place, packs) => {
    onMoment({ kind: 'before pack' });
    const isStored = !isDead() && storePacks(segments, place, packs);
    const samples = packs.reduce((sum, pack) => sum + pack.samples, 0);
    if (isStored) deps.onPacked(segments.length, samples);
    onMoment({ kind: 'after pack' });
    return isStored;
  };
  const acknowledge = buffer.acknowledge.bind(buffer);
  buffer.acknowledge = (...answered) => {
    onMoment({ kind: 'before acknowledge' });
    const samples = acknowledge(...answered);
    onMoment({ kind: 'after acknowledge' });
    return samples;
  };
}

function walBytes(dataDir: string): number {
  const path = walPath(dataDir);
  return existsSync(path) ? statSync(path).size : 0;
}
