import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { RowObject } from '../proto/sample-columns.ts';
import { tenantName } from './buffer-names.ts';
import { readValue, seriesText, timestampText, valueText } from './open-metrics-text.ts';
import type { ExportedRow, SampleFiles } from './sample-files.ts';

const OTHER_FORMAT = '--format=remote-write has them';
const STANDARD_OUTPUT = 1;
const CHUNK_CHARACTERS = 1 << 16;

interface Open {
  file: number;
  text: string;
}

/** OpenMetrics text: one file for each tenant, or standard output. */
export class OpenMetricsFiles implements SampleFiles {
  readonly #out: string;
  readonly #tenants = new Map<string, Open>();
  #staleMarkers = 0;
  #payloads = 0;
  #unwritable = 0;
  readonly #leftOut = { histogram: 0, exemplar: 0 };
  /** As text, by the bytes that the caller keeps for each series. */
  readonly #series = new Map<Uint8Array, string | undefined>();

  /** @param out a folder, or `-` */
  constructor(out: string) {
    this.#out = out;
    if (out === '-') this.#tenants.set('', { file: STANDARD_OUTPUT, text: '' });
    else mkdirSync(out, { recursive: true });
  }

  sample({ tenant, labels, timestamp }: ExportedRow, low: number, high: number): void {
    const value = readValue(low, high);
    if (value.kind === 'stale') {
      this.#staleMarkers++;
      return;
    }
    const known = this.#series.get(labels);
    const series = known ?? seriesText(labels);
    if (known === undefined) this.#series.set(labels, series);
    if (series === undefined) {
      this.#unwritable++;
      return;
    }
    if (value.hasPayload) this.#payloads++;
    const open = this.#open(tenant);
    open.text += `${series} ${valueText(value.number)} ${timestampText(timestamp)}\n`;
    if (open.text.length >= CHUNK_CHARACTERS) flush(open);
  }

  /** Native histograms have no text, and an exemplar would have to be met before its sample. */
  object(_row: ExportedRow, kind: RowObject['kind']): boolean {
    this.#leftOut[kind]++;
    return false;
  }

  /** Types and help texts would have to stand in front of their samples. */
  metadata(): void {}

  finish(): string[] {
    for (const open of this.#tenants.values()) {
      open.text += '# EOF\n';
      flush(open);
      if (open.file !== STANDARD_OUTPUT) closeSync(open.file);
    }
    const lines: [number, string][] = [
      [this.#staleMarkers, 'stale markers were left out: the text format has none'],
      [this.#payloads, 'values are a plain NaN in the text: it has no others'],
      [this.#leftOut.histogram, `native histograms were left out: ${OTHER_FORMAT}`],
      [this.#leftOut.exemplar, `exemplars were left out: ${OTHER_FORMAT}`],
      [this.#unwritable, 'samples were left out: the text format cannot hold their labels'],
    ];
    return lines.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  }

  #open(tenant: string): Open {
    const name = this.#out === '-' ? '' : tenant;
    let open = this.#tenants.get(name);
    if (open === undefined) {
      const path = join(this.#out, `${tenantName(tenant)}.txt`);
      open = { file: openSync(path, 'w'), text: '' };
      this.#tenants.set(name, open);
    }
    return open;
  }
}

/** How long the reader of a pipe is given to take something. */
const PIPE_WAIT_MS = 5;
const pause = new Int32Array(new SharedArrayBuffer(4));

function flush(open: Open): void {
  const bytes = Buffer.from(open.text);
  open.text = '';
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(open.file, bytes, at);
    } catch (error) {
      // Standard output may be a pipe that is full and does not block.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, PIPE_WAIT_MS);
    }
  }
}
