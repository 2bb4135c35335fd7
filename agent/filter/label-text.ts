import { bytesOfText, textOfBytes } from '../../proto/byte-text.ts';
import { encodeLabels, forEachLabel } from '../../proto/label-set.ts';
import type { FilterLabel } from './label-builder.ts';

/**
 * The labels in bytes [from, to), the `labels` fields of proto/label-set.ts, as text in the form of
 * proto/byte-text.ts: back and forth changes no byte.
 *
 * @throws DecodeError
 */
export function labelsOfBytes(bytes: Uint8Array, from = 0, to = bytes.length): FilterLabel[] {
  const labels: FilterLabel[] = [];
  forEachLabel(
    bytes,
    (name, value) => labels.push({ name: textOfBytes(name), value: textOfBytes(value) }),
    from,
    to,
  );
  return labels;
}

/** Canonical where the labels are sorted, as those of a verdict, and one of them is `__name__`. */
export function bytesOfLabels(labels: readonly FilterLabel[]): Uint8Array {
  return encodeLabels(
    labels.map(({ name, value }) => ({ name: bytesOfText(name), value: bytesOfText(value) })),
  );
}
