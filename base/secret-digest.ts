import { createHash, timingSafeEqual } from 'node:crypto';

/** What is kept of a secret to compare others with: of the same length whatever the secret is. */
export function digestOf(secret: string): Uint8Array {
  return createHash('sha256').update(secret).digest();
}

/** Takes the same time wherever the secrets differ, and however long they are. */
export function isSecret(secret: string, digest: Uint8Array): boolean {
  return timingSafeEqual(digestOf(secret), digest);
}
