import { constants, zstdDecompressSync } from 'node:zlib';
import { Compressor, Decompressor } from 'zstd-napi';

/** Why bytes are not the one zstd frame that was expected. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

const MAGIC = 0xfd2fb528;
const CHECKSUM_BYTES = 4;
/** 8 MiB: what every zstd decoder must be able to hold (RFC 8878, 3.1.1.1.2). */
const WINDOW_LOG_MAX = 23;

const compressors = new Map<number, Compressor>();
const decompressor = new Decompressor();
decompressor.setParameters({ windowLogMax: WINDOW_LOG_MAX });

/** One zstd frame around `bytes`, with checksum and content size, so that `zstd -d` opens it. */
export function compressFrame(bytes: Uint8Array, level: number): Buffer {
  let compressor = compressors.get(level);
  if (compressor === undefined) {
    compressor = new Compressor();
    compressor.setParameters({
      compressionLevel: level,
      checksumFlag: true,
      contentSizeFlag: true,
      windowLog: Math.min(WINDOW_LOG_MAX, 21),
    });
    compressors.set(level, compressor);
  }
  return compressor.compress(bytes);
}

/**
 * Opens exactly one zstd frame with checksum and content size, nothing behind it.
 *
 * The one-shot decompression of zstd has no limit for its output (8 kB can become 256 MB), so the
 * declared content size is judged before anything is allocated.
 *
 * @param contentBytesMax limit for the content, in bytes
 * @throws FrameError
 */
export function decompressFrame(frame: Uint8Array, contentBytesMax: number): Buffer {
  const contentBytes = declaredContentBytes(frame);
  if (contentBytes > contentBytesMax) {
    throw new FrameTooLargeError(contentBytes, contentBytesMax);
  }
  let content: Buffer;
  try {
    content = decompressor.decompress(frame);
  } catch (error) {
    throw new FrameError(`zstd: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (content.length !== contentBytes) {
    throw new FrameError(`zstd: ${content.length} bytes in a frame that declares ${contentBytes}`);
  }
  return content;
}

export class FrameTooLargeError extends FrameError {
  readonly contentBytes: number;
  readonly contentBytesMax: number;

  constructor(contentBytes: number, contentBytesMax: number) {
    super(`zstd: the content of ${contentBytes} bytes exceeds the limit of ${contentBytesMax}`);
    this.contentBytes = contentBytes;
    this.contentBytesMax = contentBytesMax;
  }
}

/** Whether bytes begin as a zstd frame does. */
export function isZstdFrame(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && viewOf(bytes).getUint32(0, true) === MAGIC;
}

/** Content size declared by a frame as others write it; undefined when none is. @throws FrameError */
export function foreignFrameBytes(frame: Uint8Array): number | undefined {
  return readHeader(frame).contentBytes;
}

/**
 * Opens exactly one zstd frame, which may do without checksum and content size; decompression ends
 * at the limit, whatever the frame declares.
 *
 * @param contentBytesMax limit for the content, in bytes
 * @throws FrameError
 */
export function decompressForeignFrame(frame: Uint8Array, contentBytesMax: number): Buffer {
  const { contentBytes = contentBytesMax } = readHeader(frame);
  if (contentBytes > contentBytesMax) throw new FrameTooLargeError(contentBytes, contentBytesMax);
  // A frame of a single segment has a window as large as its content.
  const windowLogMax = Math.max(WINDOW_LOG_MAX, Math.ceil(Math.log2(contentBytesMax + 1)));
  try {
    return zstdDecompressSync(frame, {
      maxOutputLength: Math.max(contentBytesMax, 1),
      params: { [constants.ZSTD_d_windowLogMax]: Math.min(windowLogMax, 27) },
    });
  } catch (error) {
    throw new FrameError(`zstd: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Content size declared by the header of a frame of our own. */
function declaredContentBytes(bytes: Uint8Array): number {
  const { hasChecksum, contentBytes } = readHeader(bytes);
  if (!hasChecksum) throw new FrameError('zstd: the frame has no checksum');
  if (contentBytes === undefined) {
    throw new FrameError('zstd: the frame does not declare its content size');
  }
  return contentBytes;
}

/** The header of the one frame that `bytes` must be; RFC 8878, 3.1.1. */
function readHeader(bytes: Uint8Array): {
  hasChecksum: boolean;
  contentBytes: number | undefined;
} {
  const view = viewOf(bytes);
  if (bytes.length < 5 || view.getUint32(0, true) !== MAGIC) {
    throw new FrameError('zstd: not a zstd frame');
  }
  const descriptor = view.getUint8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const hasChecksum = (descriptor & 0x04) !== 0;
  const sizeFlag = descriptor >> 6;
  if ((descriptor & 0x03) !== 0) throw new FrameError('zstd: the frame wants a dictionary');
  const at = 5 + (isSingleSegment ? 0 : 1);
  let sizeBytes = 1 << sizeFlag;
  if (sizeFlag === 0) sizeBytes = isSingleSegment ? 1 : 0;
  if (at + sizeBytes > bytes.length) throw new FrameError('zstd: the header is cut off');
  requireSingleFrame(view, at + sizeBytes, hasChecksum);
  return { hasChecksum, contentBytes: contentSize(view, at, sizeBytes) };
}

function contentSize(view: DataView, at: number, sizeBytes: number): number | undefined {
  switch (sizeBytes) {
    case 0:
      return undefined;
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at, true) + 256;
    case 4:
      return view.getUint32(at, true);
    default:
      return Number(view.getBigUint64(at, true));
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Walks the block headers: zstd itself would silently go on with a second frame. */
function requireSingleFrame(view: DataView, blocksAt: number, hasChecksum: boolean): void {
  const checksumBytes = hasChecksum ? CHECKSUM_BYTES : 0;
  let at = blocksAt;
  for (;;) {
    if (at + 3 > view.byteLength) throw new FrameError('zstd: the frame is cut off');
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const isRunLength = ((header >> 1) & 3) === 1;
    at += 3 + (isRunLength ? 1 : header >> 3);
    if ((header & 1) === 1) break;
  }
  if (at + checksumBytes > view.byteLength) throw new FrameError('zstd: the frame is cut off');
  if (at + checksumBytes < view.byteLength) {
    throw new FrameError(`zstd: ${view.byteLength - at - checksumBytes} bytes behind the frame`);
  }
}
