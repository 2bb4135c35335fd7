import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Row } from './row.ts';

/** Runs measured at different times, each of scenario, link and contender once. */
export function readRows(file: string): Row[] {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Row[]) : [];
}

/** Adds runs to a file; they take the place of those before them. */
export function addRows(file: string, rows: readonly Row[]): void {
  writeFileSync(file, `${JSON.stringify(mergeRows(readRows(file), rows), undefined, 1)}\n`);
}

export function mergeRows(before: readonly Row[], rows: readonly Row[]): Row[] {
  const key = ({ scenario, link, contender }: Row) => [scenario, link, contender].join();
  const merged = new Map([...before, ...rows].map((row) => [key(row), row]));
  return [...merged.values()];
}
