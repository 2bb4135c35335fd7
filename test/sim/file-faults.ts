import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  truncateSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Chance } from './chance.ts';
import { walPath } from './data-folder.ts';
import { copyFolder } from './power-cut.ts';

type FileFault = (folder: string, beside: string) => void;

/**
 * What others do to the data_dir of an agent that runs, and that takes nothing from who has the
 * files open: `beside` is a free name next to the folder.
 */
const TAKEN: ReadonlyMap<string, FileFault> = new Map<string, FileFault>([
  ['its database was deleted', (folder) => rmSync(databasePath(folder), { force: true })],
  ['its log was deleted', (folder) => rmSync(walPath(folder), { force: true })],
  ['its folder was deleted', (folder) => rmSync(folder, { recursive: true, force: true })],
  ['its folder was emptied', emptyFolder],
  ['its folder was moved away', (folder, beside) => moveAway(folder, beside)],
  [
    'an empty folder is in its place',
    (folder, beside) => {
      moveAway(folder, beside);
      mkdirSync(folder);
    },
  ],
  [
    'its database was replaced by a copy',
    (folder, beside) => {
      if (!existsSync(databasePath(folder))) return;
      copyFileSync(databasePath(folder), beside);
      renameSync(beside, databasePath(folder));
    },
  ],
  [
    'its folder was replaced by a copy',
    (folder, beside) => {
      copyFolder(folder, `${beside}-copy`);
      moveAway(folder, beside);
      renameSync(`${beside}-copy`, folder);
    },
  ],
]);

/** Takes the files of a running agent away, in one of many ways; says which. */
export function takeFiles(folder: string, beside: string, chance: Chance): string {
  const how = chance.pick([...TAKEN.keys()]);
  TAKEN.get(how)!(folder, beside);
  return how;
}

/** Cuts a file of a running agent short: what was in it is gone for everybody. */
export function emptyFile(folder: string, chance: Chance): string {
  const path = chance.pick([databasePath(folder), walPath(folder)]);
  if (existsSync(path)) truncateSync(path, 0);
  return path === walPath(folder) ? 'its log was emptied' : 'its database was emptied';
}

function databasePath(folder: string): string {
  return join(folder, 'buffer.db');
}

function moveAway(folder: string, beside: string): void {
  if (existsSync(folder)) renameSync(folder, beside);
}

function emptyFolder(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    rmSync(join(folder, name), { recursive: true });
  }
}
