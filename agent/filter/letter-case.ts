// Go maps one rune to one rune, by the simple mappings of Unicode. JavaScript uses the full ones,
// in which a letter can become several (ß: SS) and depends on its neighbours (a final sigma).

/** Letters whose full upper case is several letters and whose simple one is another single one. */
const SIMPLE_UPPER: ReadonlyMap<string, string> = new Map([
  ...[0x1f80, 0x1f90, 0x1fa0].flatMap((first) =>
    Array.from({ length: 8 }, (_, index): [string, string] => [
      String.fromCodePoint(first + index),
      String.fromCodePoint(first + index + 8),
    ]),
  ),
  ['ᾳ', 'ᾼ'],
  ['ῃ', 'ῌ'],
  ['ῳ', 'ῼ'],
]);
const SIMPLE_LOWER: ReadonlyMap<string, string> = new Map([['İ', 'i']]);

export function lowercase(text: string): string {
  return mapLetters(text, (letter) => letter.toLowerCase(), SIMPLE_LOWER);
}

export function uppercase(text: string): string {
  return mapLetters(text, (letter) => letter.toUpperCase(), SIMPLE_UPPER);
}

function mapLetters(
  text: string,
  full: (letter: string) => string,
  simple: ReadonlyMap<string, string>,
): string {
  let mapped = '';
  // A byte that is no UTF-8 becomes U+FFFD here, in Go too: it reads the text rune by rune.
  for (const letter of text.toWellFormed()) {
    const candidate = full(letter);
    mapped += isSingle(candidate) ? candidate : (simple.get(letter) ?? letter);
  }
  return mapped;
}

function isSingle(text: string): boolean {
  return text.length === 1 || (text.length === 2 && text.codePointAt(0)! > 0xffff);
}
