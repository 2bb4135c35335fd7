import type { BufferImage } from './buffer-image.ts';
import { type FoundPack, keyOf, packsInOrder, positionsOf } from './found-packs.ts';
import { type Position, positionsInOrder } from './positions.ts';

/** The segments and packs of an image in the order in which their samples were stored. */
export function storedInOrder(
  image: BufferImage,
  isExpected: (position: { tenant: string; run: string; sequence: number }) => boolean,
): (Position | FoundPack)[] {
  const packs = packsInOrder(image.packs, image.segments, isExpected);
  const packed = new Set(packs.flatMap((pack) => positionsOf(pack).map(keyOf)));
  const positions = positionsInOrder(image.segments, isExpected).filter(
    ({ best }) => !packed.has(keyOf(best)),
  );
  const ids = positions.map(({ best }) => best.id).sort((a, b) => a - b);
  const stored: (Position | FoundPack)[] = [];
  let before = 0;
  for (const pack of packs) {
    // Behind as many as have a lower id: one that is damaged moves a pack by one place only.
    const from = before;
    while (before < ids.length && ids[before]! < pack.id) before++;
    stored.push(...positions.slice(from, before), pack);
  }
  return [...stored, ...positions.slice(before)];
}
