import type { BufferImage } from './buffer-image.ts';
import { type FoundPack, keyOf, packsInOrder, positionsOf } from './found-packs.ts';
import { type Position, positionsInOrder } from './positions.ts';

type Stored = Position | FoundPack;

/** The segments and packs of an image: those of each tenant in the order of storing. */
export function storedInOrder(
  image: BufferImage,
  isExpected: (position: { tenant: string; run: string; sequence: number }) => boolean,
): Stored[] {
  const packs = packsInOrder(image.packs, image.segments, isExpected);
  const packed = new Set(packs.flatMap((pack) => positionsOf(pack).map(keyOf)));
  const positions = positionsInOrder(image.segments, isExpected).filter(
    ({ best }) => !packed.has(keyOf(best)),
  );
  const byTenant = Map.groupBy<string, Stored>([...positions, ...packs], tenantOf);
  return merged(Array.from(byTenant.values(), inOrder));
}

/**
 * Of one tenant: a pack lies behind as many segments as have a lower id. One id that is damaged
 * moves it by one place only.
 */
function inOrder(stored: readonly Stored[]): Stored[] {
  const positions = stored.filter((one) => !('key' in one));
  const ids = positions.map(idOf).sort((a, b) => a - b);
  const order: Stored[] = [];
  let before = 0;
  for (const pack of stored.filter((one) => 'key' in one)) {
    const from = before;
    while (before < ids.length && ids[before]! < pack.id) before++;
    order.push(...positions.slice(from, before), pack);
  }
  return [...order, ...positions.slice(before)];
}

/** All tenants, about as they were stored: that decides what a full buffer evicts first. */
function merged(lists: readonly Stored[][]): Stored[] {
  const order: Stored[] = [];
  const left = lists.map((list) => ({ list, at: 0 }));
  for (;;) {
    let next: (typeof left)[number] | undefined;
    for (const one of left) {
      if (one.at === one.list.length) continue;
      if (next === undefined || idOf(one.list[one.at]!) < idOf(next.list[next.at]!)) next = one;
    }
    if (next === undefined) return order;
    order.push(next.list[next.at++]!);
  }
}

function idOf(stored: Stored): number {
  return 'key' in stored ? stored.id : stored.best.id;
}

function tenantOf(stored: Stored): string {
  return 'key' in stored ? stored.tenant : stored.best.tenant;
}
