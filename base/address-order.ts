import type { LookupAddress } from 'node:dns';

/** An address that did not answer so long ago may have come back. */
const FORGET_AFTER_MS = 600_000;

/**
 * Remembers which addresses of a name did not answer, so that the next connection begins with
 * one that may: a dead address costs its attempt once, not with every connection.
 */
export class AddressOrder {
  /** When an address last failed, on the clock of `performance.now()`. */
  readonly #failedAtMs = new Map<string, number>();

  failed(address: string): void {
    this.#failedAtMs.set(address, performance.now());
  }

  worked(address: string): void {
    this.#failedAtMs.delete(address);
  }

  /** The addresses as the resolver gave them, behind them those that failed, latest last. */
  sorted(addresses: readonly LookupAddress[]): LookupAddress[] {
    const nowMs = performance.now();
    for (const [address, atMs] of this.#failedAtMs) {
      if (nowMs - atMs > FORGET_AFTER_MS) this.#failedAtMs.delete(address);
    }
    const failedAt = ({ address }: LookupAddress): number => this.#failedAtMs.get(address) ?? 0;
    return addresses.toSorted((one, other) => failedAt(one) - failedAt(other));
  }
}
