import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '../../base/random.ts';
import type { Hit } from '../tools/buffer-damages.ts';
import { openBuffer } from './buffer-fixture.ts';
import { lossAllowed, RowMap, unaccounted, without } from './salvage-check.ts';
import { drain, type StoredState } from './salvage-fixture.ts';

/**
 * Flips random bits, one or a burst, in files of a buffer, again and again; returns what was not as
 * it should be, with the places that were hit.
 */
export function flipBits(
  state: StoredState,
  folder: string,
  random: Random,
  rounds: number,
): string[] {
  const map = new RowMap(state.dataDir);
  const known = [...state.waiting, ...state.answered];
  const problems: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const dataDir = join(folder, `round-${round}`);
    cpSync(state.dataDir, dataDir, { recursive: true });
    const hits = flip(dataDir, random);
    const complain = (problem: string): void => {
      problems.push(`${problem} after ${JSON.stringify(hits)}`);
    };
    try {
      const { buffer, lines } = openBuffer(dataDir, 'after');
      const found = drain(buffer);
      const missing = without(state.waiting, found);
      const isAllowed = lossAllowed(map, hits);
      const foreign = without(found, known);
      if (foreign.length > 0) complain(`${foreign.length} samples that nobody sent`);
      const unhit = missing.filter((sample) => !isAllowed(sample));
      if (unhit.length > 0) complain(`${unhit.length} samples lost that were not hit`);
      const { damaged, vanished } = buffer.losses.samples;
      if (damaged + vanished !== missing.length) {
        complain(`${missing.length} samples missing and ${damaged + vanished} counted`);
      }
      const silent = unaccounted(missing, lines);
      if (silent.length > 0) complain(`${silent.length} samples outside the time ranges logged`);
      buffer.close();
    } catch (error) {
      complain(String(error instanceof Error ? error.stack : error));
    }
    rmSync(dataDir, { recursive: true });
  }
  return problems;
}

/** Of the schema: a higher one is taken for that of a newer program, and the start refused. */
const VERSION_BYTES = [60, 64] as const;

/** One bit, or a few bytes in a row, in either file. */
function flip(dataDir: string, random: Random): Hit[] {
  const files = ['buffer.db', 'buffer.db-wal'] as const;
  const file = files.find((name) => random.float() < 0.5 && existsSync(join(dataDir, name)));
  const path = join(dataDir, file ?? 'buffer.db');
  const bytes = readFileSync(path);
  const version = Uint8Array.from(bytes.subarray(...VERSION_BYTES));
  const from = Math.floor(random.float() * bytes.length);
  const length = random.float() < 0.5 ? 1 : 1 + Math.floor(random.float() * 64);
  const to = Math.min(bytes.length, from + length);
  if (length === 1) bytes[from]! ^= 1 << Math.floor(random.float() * 8);
  else for (let at = from; at < to; at++) bytes[at] = Math.floor(random.float() * 256);
  if (path.endsWith('.db')) bytes.set(version, VERSION_BYTES[0]);
  writeFileSync(path, bytes);
  return [{ file: file ?? 'buffer.db', from, to }];
}
