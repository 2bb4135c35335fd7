import type { DictionaryPart } from '../proto/batch.ts';
import { ByteReader, ByteWriter } from '../proto/bytes.ts';
import { type DictionaryEntry, decodeEntry } from '../proto/dictionary-entry.ts';

/** The entries that a part carries. @throws DecodeError */
export function readEntries({ entries }: DictionaryPart): DictionaryEntry[] {
  return unpack(entries).map(decodeEntry);
}

/** The part as it would be if no metadata record were in it. */
export function withoutMetadata(part: DictionaryPart): DictionaryPart {
  const series = unpack(part.entries).filter((entry) => decodeEntry(entry).kind === 'series');
  return { ...part, entries: pack(series) };
}

/** The part with nothing but its place in the log. */
export function withoutEntries(part: DictionaryPart): DictionaryPart {
  return { ...part, entries: pack([]) };
}

function unpack(entries: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(entries);
  const unpacked: Uint8Array[] = [];
  while (!reader.done) unpacked.push(reader.raw(reader.varint()));
  return unpacked;
}

function pack(entries: readonly Uint8Array[]): Uint8Array {
  const writer = new ByteWriter();
  for (const entry of entries) {
    writer.varint(entry.length);
    writer.raw(entry);
  }
  return writer.finish();
}
