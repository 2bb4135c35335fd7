/** How much a pattern takes once its counted repetitions are written out. */
export interface PatternCost {
  /** About the instructions of its program; those that hold ranges of characters count more. */
  instructions: number;
  /** Groups within groups. */
  depth: number;
}

/** A class such as `\pL` holds hundreds of ranges, and each of its copies holds them again. */
const CLASS_INSTRUCTIONS = 3;

// No part of it looks further than it takes, so that no text makes it slow.
const TOKEN =
  /\\Q(?<literal>.*?)(?:\\E|$)|(?<class>\\(?:[pPx]\{[^}]{0,40}\}|[pP]?.)|\[\^?\]?(?:\[:\^?\w{1,9}:\]|\\.|[^\]\\])*(?:\]|$))|\{(?<min>\d{1,9})?(?<comma>,)?(?<max>\d{1,9})?\}|./gsu;

/** An estimate from the text alone, valid or not: the engine would have to compile it first. */
export function patternCost(source: string): PatternCost {
  const outer: number[] = [];
  let sum = 0;
  let last = 0;
  let depth = 0;
  const add = (instructions: number): void => {
    last = instructions;
    sum += instructions;
  };
  for (const { 0: token, groups = {} } of source.matchAll(TOKEN)) {
    const { literal, class: characters, min, max } = groups;
    if (token === '(') {
      outer.push(sum);
      sum = 1;
      depth = Math.max(depth, outer.length);
    } else if (token === ')') {
      const group = sum;
      sum = outer.pop() ?? 0;
      add(group);
    } else if (min !== undefined || max !== undefined) {
      const times =
        Number(max ?? min) + (groups['comma'] !== undefined && max === undefined ? 1 : 0);
      add(last * Math.max(times - 1, 0));
    } else {
      add(literal?.length ?? (characters === undefined ? 1 : CLASS_INSTRUCTIONS));
    }
  }
  return { instructions: outer.reduce((total, part) => total + part, sum), depth };
}
