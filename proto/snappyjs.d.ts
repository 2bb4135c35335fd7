/** snappyjs brings no types of its own. Only the form that takes and returns bytes is used. */
declare module 'snappyjs' {
  export function compress(uncompressed: Uint8Array): Uint8Array<ArrayBuffer>;
  /** Throws when `compressed` is damaged or declares more than `maxLength` bytes. */
  export function uncompress(compressed: Uint8Array, maxLength?: number): Uint8Array<ArrayBuffer>;
}
