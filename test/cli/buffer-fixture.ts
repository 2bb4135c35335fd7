import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { OfflineBuffer } from '../../agent/buffer/salvage/offline-buffer.ts';
import { type FilledBuffer, fillBuffer } from '../agent/salvage-fixture.ts';
import { Workspace } from '../tools/workspace.ts';

export const run = promisify(execFile);
const entry = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

/** A filled buffer, and places for copies of it. */
export class BufferFolders {
  readonly workspace: Workspace;
  readonly filled: FilledBuffer;
  #fresh = 0;

  constructor(name: string) {
    this.workspace = new Workspace(name);
    this.filled = fillBuffer(this.workspace.folder);
  }

  /** A path where nothing is. */
  freshPath(name: string): string {
    return join(this.workspace.folder, `${name}-${this.#fresh++}`);
  }

  copyOf(folder: string): string {
    const copy = this.freshPath('copy');
    cpSync(folder, copy, { recursive: true });
    return copy;
  }
}

/** Runs `starferry buffer` as a process: what it prints, and its exit code. */
export async function starferryBuffer(...args: string[]) {
  try {
    const { stdout, stderr } = await run(process.execPath, [entry, 'buffer', ...args], {
      maxBuffer: 2 ** 25,
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

export function reading<T>(folder: string, work: (buffer: OfflineBuffer) => T): T {
  const buffer = OfflineBuffer.open(folder)!;
  try {
    return work(buffer);
  } finally {
    buffer.close();
  }
}
