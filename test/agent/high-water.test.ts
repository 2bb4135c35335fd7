import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type HighWater, HighWaterFile, readHighWater } from '../../agent/buffer/high-water.ts';
import { systemError, whileFaulty } from '../tools/faulty-file-system.ts';
import { Workspace } from '../tools/workspace.ts';

vi.mock('node:fs', async (importReal) => {
  const { faultyFileSystem } = await import('../tools/faulty-file-system.ts');
  return faultyFileSystem(await importReal());
});
const { writeSync } = await vi.importActual<typeof import('node:fs')>('node:fs');

type Write = [file: number, bytes: Uint8Array, from: number, count: number, at: number];

let workspace: Workspace;
let path: string;

beforeEach(() => {
  workspace = new Workspace('high-water');
  path = join(workspace.folder, 'high-water.json');
});
afterEach(() => workspace.close());

function state(...tenants: string[]): HighWater {
  const lasts = Object.fromEntries(tenants.map((tenant, index) => [tenant, index]));
  return { run: '1', writtenAt: 1, tenants: lasts, removals: 0, waiting: {} };
}

/** A disk that takes up to `bytesAtOnce` of each write, and nothing behind `end`. */
function partly(bytesAtOnce: number, end = Number.POSITIVE_INFINITY) {
  const write = (...[file, bytes, from, count, at]: Write): number => {
    const taken = Math.min(count, bytesAtOnce, Math.max(0, end - at));
    return taken === 0 ? 0 : writeSync(file, bytes, from, taken, at);
  };
  return write as () => unknown;
}

describe('the witness on a disk that takes a part of a write', () => {
  test('is written whole, part by part', () => {
    const file = new HighWaterFile(path);
    for (const written of [state('a'), state('a', 'tenant-ü', 'c'), state('b')]) {
      whileFaulty('writeSync', partly(7), () => expect(file.write(written)).toBe(true));
      expect(readHighWater(path)).toEqual(written);
    }
  });

  test('keeps what it held where the disk has no room for more, and says so', () => {
    const file = new HighWaterFile(path);
    file.write(state('a'));
    const { length } = readFileSync(path);
    whileFaulty('writeSync', partly(7, length + 3), () => {
      expect(file.write(state('a', 'b'))).toBe(false);
      expect(readHighWater(path)).toEqual(state('a'));
      // What is no longer than before needs no room.
      expect(file.write(state('z'))).toBe(true);
    });
    expect(readHighWater(path)).toEqual(state('z'));
    expect(file.write(state('a', 'b'))).toBe(true);
    expect(readHighWater(path)).toEqual(state('a', 'b'));
  });

  test.each(['ENOSPC', 'EIO', 'EDQUOT'])('is not written where the disk says %s', (code) => {
    const file = new HighWaterFile(path);
    const fail = () => {
      throw systemError(code, 'write');
    };
    whileFaulty('writeSync', fail, () => expect(file.write(state('a'))).toBe(false));
    expect(file.write(state('a'))).toBe(true);
    expect(readHighWater(path)).toEqual(state('a'));
  });
});
