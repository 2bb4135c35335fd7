/** 64-bit numbers are kept as text: readable in the sqlite3 shell, no sign to think of. */
export const hex = (id: bigint): string => id.toString(16).padStart(16, '0');
