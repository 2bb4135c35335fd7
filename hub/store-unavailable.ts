/**
 * The hub's database cannot be used now: a fault of its disk, or files that were just set aside.
 * The message says what to do. Nothing of what was asked has been stored; asking again is right.
 */
export class StoreUnavailable extends Error {
  override readonly name: string = 'StoreUnavailable';
}
