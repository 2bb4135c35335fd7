/**
 * Small numbers for names, given in order of first sight, so that an array of numbers can stand
 * for an array of strings. Names first seen at or behind a position can be forgotten again.
 */
export class NumberedNames {
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];
  /** Where each name was first seen; ascending. */
  readonly #positions: number[] = [];

  /** The number of `name`, or -1. */
  find(name: string): number {
    return this.#numbers.get(name) ?? -1;
  }

  /** The name with this number. */
  name(number: number): string {
    return this.#names[number]!;
  }

  /** The number of `name`, which gets the next one when it is new. */
  add(name: string, position: number): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const number = this.#names.length;
    this.#numbers.set(name, number);
    this.#names.push(name);
    this.#positions.push(position);
    return number;
  }

  /** Forgets the names first seen at `position` or later. */
  truncate(position: number): void {
    while ((this.#positions.at(-1) ?? -1) >= position) {
      this.#positions.pop();
      this.#numbers.delete(this.#names.pop()!);
    }
  }
}
