import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { assert } from './assert.ts';

/** Of package.json, which lies at a different depth for sources and for compiled files. */
export const version: string = readVersion();

function readVersion(): string {
  const path = findPackageJSON('..', import.meta.url);
  assert(path !== undefined, 'a package.json lies above the program');
  const description: { version: string } = JSON.parse(readFileSync(path, 'utf8'));
  return description.version;
}
