import { NewerBufferError, SCHEMA_VERSION, VERSION_MAX } from '../schema.ts';
import { PageFiles } from './page-files.ts';

// Offsets in the header of a database, sqlite.org/fileformat2.html#the_database_header.
const MAGIC = Buffer.from('SQLite format 3\0', 'latin1');
const FRACTIONS_AT = 21;
const FRACTIONS = Buffer.from([64, 32, 32]);
const USER_VERSION_AT = 60;
const RESERVED_AT = 72;
const RESERVED_END = 92;

/**
 * Throws when a newer program has written the buffer in `folder`: neither opening nor salvaging it
 * could tell what its rows mean. To be asked before anything else is done with the files. A header
 * that is damaged says nothing.
 *
 * @throws NewerBufferError; errors of the file system
 */
export function refuseNewer(folder: string): void {
  const version = storedVersion(folder);
  if (version === undefined || version > VERSION_MAX) return;
  if (version > SCHEMA_VERSION) throw new NewerBufferError(version);
}

/** Undefined when nothing there has a header of a database. */
function storedVersion(folder: string): number | undefined {
  const pages = new PageFiles(folder);
  try {
    const header = Buffer.from(pages.readable(1));
    const isWhole =
      header.subarray(0, MAGIC.length).equals(MAGIC) &&
      header.subarray(FRACTIONS_AT, FRACTIONS_AT + FRACTIONS.length).equals(FRACTIONS) &&
      header.subarray(RESERVED_AT, RESERVED_END).every((byte) => byte === 0);
    return isWhole ? header.readInt32BE(USER_VERSION_AT) : undefined;
  } finally {
    pages.close();
  }
}
