import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Workspace } from '../tools/workspace.ts';
import { openDatabase } from './buffer-fixture.ts';
import { openLooking, timesOfNextLife } from './disk-faults-fixture.ts';

/** Paths that were synced, and whether the new database had its name by then. */
const synced = vi.hoisted((): { path: string; isNamed: boolean }[] => []);
vi.mock('../../base/folders.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../base/folders.ts')>();
  const syncPath = (path: string): void => {
    synced.push({ path, isNamed: existsSync(path.replace(/\.part$/, '')) });
    original.syncPath(path);
  };
  return { ...original, syncPath };
});

let workspace: Workspace;
beforeEach(() => {
  workspace = new Workspace('salvage-sync');
});
afterEach(() => workspace.close());

test('a new database is synced before its name says that it is whole', () => {
  const dataDir = workspace.subfolder('data');
  const { buffer, append } = openLooking(dataDir);
  const other = openDatabase(dataDir);
  other.exec("INSERT INTO heads VALUES ('run', 'tenant', 1)");
  other.close();
  expect(append(1)).toBe('recovering');
  expect(timesOfNextLife(dataDir, buffer)).toEqual([0]);
  const parts = synced.filter(({ path }) => path.endsWith('.part'));
  expect(parts.map(({ isNamed }) => isNamed)).toEqual([false]);
});
