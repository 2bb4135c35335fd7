import { assert } from '../assert.ts';
import { readAt } from './read-at.ts';

// SQLite's write-ahead log (sqlite.org/fileformat2.html#walformat), all numbers big-endian:
//
//   header   32 bytes  magic, version, page size, checkpoint number, two salts, checksum
//   frames   24 bytes  page number, database size in pages (0: not the end of a commit),
//                      the header's salts, checksum; then the page
//
// A checksum runs over everything before it, seeded with the one before: SQLite stops at the first
// frame that does not fit, and what was committed behind it is gone without an error. The checksum
// of each frame is stored, though, so that the frames behind a damaged one can still be verified.

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** Its lowest bit says in which byte order the checksums add up. */
const MAGIC = 0x377f0682;

/** A page as some commit left it. */
export interface WalFrame {
  page: number;
  /** Where the frame begins in the file, and the header it begins with. */
  at: number;
  header: Uint8Array;
  /** Whether the checksum fits: what the frame holds is what was written. */
  isVerified: boolean;
  /** Pages of the database after the commit that ends here; 0: the commit goes on. */
  commitPages: number;
}

export interface WalFile {
  /** Frames of the current generation in the order of writing, those behind a damaged one too. */
  frames: WalFrame[];
  /** How many of them belong to a commit that has ended. */
  committed: number;
  /** How many of them SQLite would read. */
  readable: number;
  /**
   * `torn`: the last commit is not whole, as a crash in the middle of it leaves it, or damage of
   * just these bytes. `damaged`: SQLite would pass over commits that were synced.
   */
  condition: 'sound' | 'torn' | 'damaged';
}

type Checksum = readonly [number, number];

interface Slot extends WalFrame {
  hasSalts: boolean;
  /** Whether SQLite gets this far. */
  isReadable: boolean;
}

/** Reads the log in `file`, of pages of `pageBytes`. */
export function readWalFile(file: number, fileBytes: number, pageBytes: number): WalFile {
  const slotBytes = FRAME_HEADER_BYTES + pageBytes;
  // A frame that is cut off counts: rows in what is left of it may be whole.
  const count = Math.ceil((fileBytes - HEADER_BYTES) / slotBytes);
  const empty: WalFile = { frames: [], committed: 0, readable: 0, condition: 'sound' };
  if (count <= 0) return empty;
  const header = readAt(file, 0, HEADER_BYTES);
  // Zeros are space that the file system had given out when the power failed.
  if (header.every((byte) => byte === 0)) return empty;
  const { seed, isBigEndian } = readHeader(header, pageBytes);
  const salts = seed === undefined ? undefined : header.subarray(16, 24);
  const frames = belonging(readSlots(file, { seed, salts, isBigEndian }, count, pageBytes));
  const committed = endOfCommits(frames);
  const broken = frames.findIndex((frame) => !frame.isReadable);
  const readable = endOfCommits(broken < 0 ? frames : frames.slice(0, broken));
  const condition = seed === undefined ? 'damaged' : conditionOf(frames, readable);
  return { frames, committed, readable, condition };
}

/** The page in a frame; undefined when the frame has been written over since. */
export function readFramePage(
  file: number,
  { at, header }: WalFrame,
  pageBytes: number,
): Uint8Array | undefined {
  const bytes = readAt(file, at, FRAME_HEADER_BYTES + pageBytes);
  const isStillThere = bytes.subarray(0, FRAME_HEADER_BYTES).equals(header);
  return isStillThere ? bytes.subarray(FRAME_HEADER_BYTES) : undefined;
}

function endOfCommits(frames: readonly Slot[]): number {
  return frames.findLastIndex(({ commitPages }) => commitPages > 0) + 1;
}

/** What lies behind the first unreadable commit decides: one that others followed was synced. */
function conditionOf(frames: readonly Slot[], readable: number): WalFile['condition'] {
  if (readable === frames.length) return 'sound';
  const end = frames.findIndex(({ commitPages }, index) => index >= readable && commitPages > 0);
  return end >= 0 && end < frames.length - 1 ? 'damaged' : 'torn';
}

interface Generation {
  /** Checksum of the header; undefined when the header is damaged, as are the salts then. */
  seed: Checksum | undefined;
  salts: Uint8Array | undefined;
  isBigEndian: boolean;
}

function readHeader(header: Buffer, pageBytes: number): Omit<Generation, 'salts'> {
  const magic = header.readUInt32BE(0);
  const isBigEndian = (magic & 1) === 1;
  const stored: Checksum = [header.readUInt32BE(24), header.readUInt32BE(28)];
  const isSound =
    (magic & ~1) === MAGIC &&
    header.readUInt32BE(8) === pageBytes &&
    isSame(checksum([0, 0], header.subarray(0, 24), isBigEndian), stored);
  return { seed: isSound ? stored : undefined, isBigEndian: isSound && isBigEndian };
}

function readSlots(
  file: number,
  { seed, salts, isBigEndian }: Generation,
  count: number,
  pageBytes: number,
): Slot[] {
  const slots: Slot[] = [];
  let isReadable = seed !== undefined;
  let seeds = seed === undefined ? [] : [seed];
  // A damaged header leaves the first frame to say which generation this is.
  let saltsOfAll = salts;
  for (let index = 0; index < count; index++) {
    const at = HEADER_BYTES + index * (FRAME_HEADER_BYTES + pageBytes);
    const bytes = readAt(file, at, FRAME_HEADER_BYTES + pageBytes);
    const header = Buffer.from(bytes.subarray(0, FRAME_HEADER_BYTES));
    saltsOfAll ??= header.subarray(8, 16);
    const stored: Checksum = [header.readUInt32BE(16), header.readUInt32BE(20)];
    const sums = seeds.map((before) => {
      const sum = checksum(before, header.subarray(0, 8), isBigEndian);
      return checksum(sum, bytes.subarray(FRAME_HEADER_BYTES), isBigEndian);
    });
    const isVerified = sums.some((sum) => isSame(sum, stored));
    const hasSalts = header.subarray(8, 16).equals(saltsOfAll);
    isReadable &&= hasSalts && isVerified;
    const page = header.readUInt32BE(0);
    const commitPages = header.readUInt32BE(4);
    slots.push({ page, at, header, isVerified, commitPages, hasSalts, isReadable });
    // Either the frame's stored checksum is right or what its content adds up to.
    seeds = isVerified ? [stored] : [stored, ...sums.slice(0, 1)];
  }
  return slots;
}

/**
 * The slots of the current generation: by their salts, or, where only these are damaged, by a
 * checksum that fits between two of them. What is behind is left of generations before.
 */
function belonging(slots: readonly Slot[]): Slot[] {
  return slots.filter(({ hasSalts, isVerified }, index) => {
    const isBetween = slots[index - 1]?.hasSalts === true && slots[index + 1]?.hasSalts === true;
    return hasSalts || (isVerified && isBetween);
  });
}

/** The sum over pairs of 32-bit words that SQLite calls a checksum. */
function checksum(seed: Checksum, bytes: Uint8Array, isBigEndian: boolean): Checksum {
  assert(bytes.length % 8 === 0, 'a checksum over pairs of words');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let [first, second] = seed;
  for (let at = 0; at < bytes.length; at += 8) {
    first = (first + view.getUint32(at, !isBigEndian) + second) >>> 0;
    second = (second + view.getUint32(at + 4, !isBigEndian) + first) >>> 0;
  }
  return [first, second];
}

function isSame(a: Checksum, b: Checksum): boolean {
  return a[0] === b[0] && a[1] === b[1];
}
