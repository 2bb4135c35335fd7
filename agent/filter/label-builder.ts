import { compareTexts } from '../../proto/byte-text.ts';

/** A label of a series; both texts in the form of proto/byte-text.ts. */
export interface FilterLabel {
  name: string;
  value: string;
}

/**
 * The labels of a series while rules change them. As in Prometheus a label with an empty value is
 * none, and going over the labels visits those that are as sent by name, then those that rules
 * have set in the order in which they did: on a collision in labelmap the last one wins.
 */
export class LabelBuilder {
  #values = new Map<string, string>();
  #set = new Set<string>();

  constructor(labels: readonly FilterLabel[]) {
    for (const { name, value } of labels.toSorted(byName)) {
      if (value !== '') this.#values.set(name, value);
    }
  }

  /** Empty: there is none. */
  get(name: string): string {
    return this.#values.get(name) ?? '';
  }

  set(name: string, value: string): void {
    if (value === '') {
      this.delete(name);
      return;
    }
    if (!this.#set.has(name)) this.#values.delete(name);
    this.#set.add(name);
    this.#values.set(name, value);
  }

  delete(name: string): void {
    this.#values.delete(name);
    this.#set.delete(name);
  }

  /** As they are now: changes do not show in it. */
  list(): FilterLabel[] {
    return Array.from(this.#values, ([name, value]) => ({ name, value }));
  }

  sorted(): FilterLabel[] {
    return this.list().sort(byName);
  }
}

function byName(a: FilterLabel, b: FilterLabel): number {
  return compareTexts(a.name, b.name);
}
