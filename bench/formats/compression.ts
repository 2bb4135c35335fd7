import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { compress, uncompress } from 'snappyjs';

/** A compression of whole bodies. */
export interface Compression {
  name: string;
  compress(bytes: Uint8Array): Uint8Array;
  uncompress(body: Uint8Array): Uint8Array;
}

export const snappy: Compression = { name: 'snappy', compress, uncompress };

/** Without a checksum, as others send it. */
export const zstd3: Compression = {
  name: 'zstd 3',
  compress: (bytes) =>
    zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 3 } }),
  uncompress: (body) => zstdDecompressSync(body),
};
