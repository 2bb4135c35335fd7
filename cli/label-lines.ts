import type { FilterLabel } from '../agent/filter/filter.ts';
import { textOfBytes } from '../proto/byte-text.ts';

/** Label sets have at most 64 KiB, and a byte takes up to six in JSON. */
const LINE_BYTES_MAX = 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * The lines of a stream, some at a time as they come in. The last one may lack its newline.
 *
 * @throws RangeError for a line over the limit, when what precedes it has been handed out
 */
export async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer[]> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    const bytes = Buffer.concat([rest, chunk]);
    const lines: Buffer[] = [];
    let from = 0;
    for (let to = bytes.indexOf(NEWLINE); to >= 0; to = bytes.indexOf(NEWLINE, from)) {
      lines.push(bytes.subarray(from, to));
      from = to + 1;
    }
    rest = bytes.subarray(from);
    yield lines;
    if (rest.length > LINE_BYTES_MAX) throw new RangeError('a line is longer than 1MiB');
  }
  if (rest.length > 0) yield [rest];
}

/**
 * Reads `{"labels":{"name":"value"}}`, or says what is wrong with it. Bytes that are no UTF-8
 * become lone surrogates, which JSON can express.
 */
export function readLabelsLine(line: Buffer): FilterLabel[] | string {
  let document: unknown;
  try {
    document = JSON.parse(textOfBytes(line));
  } catch (error) {
    return `no JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  const labels = isObject(document) ? document['labels'] : undefined;
  if (!isObject(labels)) return 'expected {"labels":{"name":"value"}}';
  const read: FilterLabel[] = [];
  for (const [name, value] of Object.entries(labels)) {
    if (typeof value !== 'string') return `the value of label ${name} is no text`;
    read.push({ name, value });
  }
  return read;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** By hand, because an object would put names that are numbers first. */
export function labelsJson(labels: readonly FilterLabel[]): string {
  const members = labels.map(({ name, value }) => {
    return `${JSON.stringify(name)}:${JSON.stringify(value)}`;
  });
  return `{${members.join(',')}}`;
}
