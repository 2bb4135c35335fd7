import { normalText, textOfBytes } from './byte-text.ts';

export type QuotedText =
  /** `end`: the position behind the closing quote. */
  | { kind: 'text'; text: string; end: number }
  | { kind: 'none' }
  | { kind: 'unreadable'; message: string };

const QUOTED = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`/y;
const ESCAPE =
  /\\(?:([abfnrtv\\])|(["'])|x([\da-fA-F]{2})|([0-7]{3})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|.)/gs;
const CONTROLS: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
};

/** Reads the string of PromQL at `at`: Go's escapes in "" and '', none in ``. */
export function readQuoted(source: string, at: number): QuotedText {
  QUOTED.lastIndex = at;
  const literal = QUOTED.exec(source)?.[0];
  if (literal === undefined) return { kind: 'none' };
  const inner = literal.slice(1, -1);
  const end = at + literal.length;
  if (literal.startsWith('`')) return { kind: 'text', text: inner, end };
  let wrong: string | undefined;
  const text = inner.replace(ESCAPE, (sequence, control, quote, hex, octal, short, long) => {
    const character = unescaped(control, quote, hex, octal, short ?? long, literal.charAt(0));
    if (character === undefined) wrong ??= sequence;
    return character ?? '';
  });
  if (wrong !== undefined) return { kind: 'unreadable', message: `no escape of PromQL: ${wrong}` };
  return { kind: 'text', text: normalText(text), end };
}

/** The arguments are the groups of ESCAPE; undefined for what Go refuses. */
function unescaped(
  control: string | undefined,
  quote: string | undefined,
  hex: string | undefined,
  octal: string | undefined,
  codePoint: string | undefined,
  delimiter: string,
): string | undefined {
  if (control !== undefined) return CONTROLS[control];
  if (quote !== undefined) return quote === delimiter ? quote : undefined;
  if (codePoint !== undefined) {
    const code = Number.parseInt(codePoint, 16);
    const isCharacter = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return isCharacter ? String.fromCodePoint(code) : undefined;
  }
  const byte = hex === undefined ? Number.parseInt(octal ?? '400', 8) : Number.parseInt(hex, 16);
  return byte > 0xff ? undefined : textOfBytes(Uint8Array.of(byte));
}
