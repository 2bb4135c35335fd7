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

/** Content size declared by the header of the one frame that `bytes` must be; RFC 8878, 3.1.1. */
function declaredContentBytes(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 5 || view.getUint32(0, true) !== MAGIC) {
    throw new FrameError('zstd: not a zstd frame');
  }
  const descriptor = view.getUint8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const hasChecksum = (descriptor & 0x04) !== 0;
  const sizeFlag = descriptor >> 6;
  if (!hasChecksum) throw new FrameError('zstd: the frame has no checksum');
  if (sizeFlag === 0 && !isSingleSegment) {
    throw new FrameError('zstd: the frame does not declare its content size');
  }
  if ((descriptor & 0x03) !== 0) throw new FrameError('zstd: the frame wants a dictionary');
  const at = 5 + (isSingleSegment ? 0 : 1);
  const sizeBytes = sizeFlag === 0 ? 1 : 1 << sizeFlag;
  if (at + sizeBytes > bytes.length) throw new FrameError('zstd: the header is cut off');
  requireSingleFrame(view, at + sizeBytes);
  switch (sizeBytes) {
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

/** Walks the block headers: zstd itself would silently go on with a second frame. */
function requireSingleFrame(view: DataView, blocksAt: number): void {
  let at = blocksAt;
  for (;;) {
    if (at + 3 > view.byteLength) throw new FrameError('zstd: the frame is cut off');
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const isRunLength = ((header >> 1) & 3) === 1;
    at += 3 + (isRunLength ? 1 : header >> 3);
    if ((header & 1) === 1) break;
  }
  if (at + CHECKSUM_BYTES > view.byteLength) throw new FrameError('zstd: the frame is cut off');
  if (at + CHECKSUM_BYTES < view.byteLength) {
    throw new FrameError(`zstd: ${view.byteLength - at - CHECKSUM_BYTES} bytes behind the frame`);
  }
}
