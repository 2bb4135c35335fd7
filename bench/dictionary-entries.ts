import type { DictionaryPart } from '../proto/batch.ts';
import { decodeEntries } from '../proto/dictionary/part-decoder.ts';
import { encodeEntries } from '../proto/dictionary/part-encoder.ts';
import { type DictionaryEntry, decodeEntry } from '../proto/dictionary-entry.ts';

/** The entries that a part carries. @throws DecodeError */
export function readEntries({ entries }: DictionaryPart): DictionaryEntry[] {
  return unpack(entries).map(decodeEntry);
}

/** The part as it would be if no metadata record were in it. */
export function withoutMetadata(part: DictionaryPart): DictionaryPart {
  const series = unpack(part.entries).filter((entry) => decodeEntry(entry).kind === 'series');
  return { ...part, entries: encodeEntries(series) };
}

/** The part with nothing but its place in the log. */
export function withoutEntries(part: DictionaryPart): DictionaryPart {
  return { ...part, entries: encodeEntries([]) };
}

function unpack(entries: Uint8Array): Uint8Array[] {
  return decodeEntries(entries, { entriesMax: 2 ** 20, bytesMax: 2 ** 28 });
}
