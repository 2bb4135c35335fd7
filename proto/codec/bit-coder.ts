/**
 * What the model runs on. The encoder writes the bit it is given and returns it; the decoder
 * ignores what it is given and returns the bit it has read. So one text serves both ends, and
 * everything the model learns must come from what these methods return.
 */
export interface BitCoder {
  /** One bit in the adaptive context `context` (contexts.ts). */
  bit(context: number, bit: number): number;
  /**
   * Bits that are as likely as not.
   *
   * @param count 1 to 16
   */
  evenBits(count: number, value: number): number;
}

/** `value` of `depth` bits, most significant first; each prefix has a context of its own. */
export function codeTree(coder: BitCoder, contexts: number, depth: number, value: number): number {
  let node = 1;
  for (let shift = depth - 1; shift >= 0; shift--) {
    node = (node << 1) | coder.bit(contexts + node, (value >> shift) & 1);
  }
  return node - (1 << depth);
}
