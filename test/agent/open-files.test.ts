import { appendFileSync, copyFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OpenFiles } from '../../base/sqlite/open-files.ts';
import { Workspace } from '../tools/workspace.ts';

let workspace: Workspace;
let path: string;

beforeEach(() => {
  workspace = new Workspace('open-files');
  path = join(workspace.folder, 'buffer.db');
  writeFileSync(path, 'database');
  writeFileSync(`${path}-wal`, 'log');
});
afterEach(() => workspace.close());

function replace(file: string): void {
  copyFileSync(file, `${file}.new`);
  renameSync(`${file}.new`, file);
}

describe('the files of an open database', () => {
  test('may be written to by whoever notes it', () => {
    const files = new OpenFiles(path);
    for (let round = 0; round < 3; round++) {
      appendFileSync(path, 'more');
      appendFileSync(`${path}-wal`, 'more');
      files.note();
      expect(files.change()).toBeUndefined();
    }
  });

  test('were written to by somebody else', () => {
    const files = new OpenFiles(path);
    appendFileSync(path, 'more');
    expect(files.change()).toBe(`${path} was replaced or written to`);
  });

  test.each(['', '-wal'])(
    'were deleted or replaced, even in the middle of a commit: %j',
    (suffix) => {
      const replaced = new OpenFiles(path);
      const deleted = new OpenFiles(path);
      replace(path + suffix);
      replaced.note();
      expect(replaced.change()).toBe(`${path}${suffix} was replaced or written to`);
      rmSync(path + suffix);
      deleted.note();
      deleted.note();
      expect(deleted.change()).toBe(`${path}${suffix} was deleted`);
    },
  );

  test('include a log that comes later', () => {
    rmSync(`${path}-wal`);
    const files = new OpenFiles(path);
    writeFileSync(`${path}-wal`, 'log');
    files.note();
    expect(files.change()).toBeUndefined();
    rmSync(`${path}-wal`);
    expect(files.change()).toBe(`${path}-wal was deleted`);
  });
});
