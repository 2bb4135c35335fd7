import type { FromWorker } from './worker-messages.ts';

const ENTRIES_PER_MESSAGE = 10_000;

/** Says all entries of a dictionary log, in order. */
export function handOverDictionary(
  dictionary: { entries(): Iterable<Uint8Array> },
  say: (message: FromWorker) => void,
): void {
  let entries: Uint8Array[] = [];
  let firstId = 0;
  for (const entry of dictionary.entries()) {
    entries.push(entry);
    if (entries.length < ENTRIES_PER_MESSAGE) continue;
    say({ kind: 'entries', firstId, entries });
    firstId += entries.length;
    entries = [];
  }
  if (entries.length > 0) say({ kind: 'entries', firstId, entries });
}
