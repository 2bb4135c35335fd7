/** What the files of the buffer hold is not what this program wrote. */
export class DamagedBufferError extends Error {
  override readonly name = 'DamagedBufferError';
}

/**
 * Whether an error says that the files of the buffer are damaged. Unlike the faults of
 * disk-fault.ts it does not pass: the files have to be set aside. A constraint that fails is damage
 * too: every key and position that this program writes is new.
 */
export function isDamage(error: unknown): boolean {
  if (error instanceof DamagedBufferError) return true;
  return /^SQLITE_(CORRUPT|NOTADB|FORMAT|MISMATCH|CONSTRAINT|IOERR_(READ|SHORT_READ|CORRUPTFS|DATA)$)/.test(
    codeOf(error),
  );
}

/** The same while opening, when a damaged schema also shows in statements that do not fit it. */
export function isDamageAtOpen(error: unknown): boolean {
  return isDamage(error) || /^SQLITE_(ERROR|SCHEMA)/.test(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
