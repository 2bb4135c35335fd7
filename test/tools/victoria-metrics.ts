import { assert } from '../../base/assert.ts';
import { labelSetString, type SampleBits, type SamplesBySeries } from './compare.ts';
import { debianProgram } from './debian.ts';
import { freePort } from './ports.ts';
import { type RunningProcess, startProcess } from './processes.ts';
import type { SampleStore } from './prometheus.ts';
import type { Workspace } from './workspace.ts';

const exportMsMax = 60_000;
const staleMarkerBits = 0x7ff0_0000_0000_0002n;

export interface VictoriaMetricsOptions {
  /** Subfolder of the workspace, name in messages. */
  name: string;
  extraFlags?: string[];
}

export interface VictoriaMetrics extends SampleStore {
  /** Takes remote write 1.0. */
  readonly writeUrl: string;
  readonly process: RunningProcess;
}

/**
 * Starts a real single-node VictoriaMetrics. It is no store of bits (1.79, tried out): a value is
 * rounded to twelve or more decimal digits and shares its exponent with its block, the sign of
 * zero and denormals are lost, and a NaN that is not the stale marker is not stored at all. So
 * its samples are never compared with those of a Prometheus, but with those of a second
 * VictoriaMetrics to which the same Prometheus writes directly: the two must be equal.
 * A sample delivered twice is stored twice unless `-dedup.minScrapeInterval=1ms` is among the
 * flags: give it to both where redelivery is allowed.
 */
export async function startVictoriaMetrics(
  workspace: Workspace,
  options: VictoriaMetricsOptions,
): Promise<VictoriaMetrics> {
  const program = await debianProgram('victoria-metrics');
  const port = await freePort();
  const folder = workspace.subfolder(options.name);
  const url = `http://127.0.0.1:${port}`;
  const process = await startProcess(workspace, {
    name: options.name,
    folder,
    readyUrl: `${url}/health`,
    command: [
      program,
      `-httpListenAddr=127.0.0.1:${port}`,
      '-storageDataPath=data',
      '-memory.allowedBytes=256MB',
      ...(options.extraFlags ?? []),
    ],
  });
  const readSamples = (fromMs: number, toMs: number) => exportSamples(url, fromMs, toMs);
  return { writeUrl: `${url}/api/v1/write`, process, readSamples };
}

/** Those of `samples` that a VictoriaMetrics stores: not a NaN other than the stale marker. */
export function storedByVictoriaMetrics(samples: SamplesBySeries): SamplesBySeries {
  const stored: SamplesBySeries = new Map();
  for (const [series, rows] of samples) {
    const kept = rows.filter(({ bits }) => bits === staleMarkerBits || !isNaNBits(bits));
    if (kept.length > 0) stored.set(series, kept);
  }
  return stored;
}

/**
 * Samples with the values of a yardstick where these are the same to VictoriaMetrics. It stores the
 * values of a block as decimals with a common exponent, so the same value ends in other last bits
 * when its block begins elsewhere. (Rounding both would not do: two neighbours can lie on either
 * side of a half.)
 */
export function likeYardstick(
  yardstick: SamplesBySeries,
  samples: SamplesBySeries,
): SamplesBySeries {
  return new Map(
    Array.from(samples, ([series, rows]) => {
      const measure = new Map(
        yardstick.get(series)?.map(({ timestamp, bits }) => [timestamp, bits]),
      );
      const alike = rows.map(({ timestamp, bits }) => {
        const kept = measure.get(timestamp);
        return { timestamp, bits: kept !== undefined && areAlike(kept, bits) ? kept : bits };
      });
      return [series, alike];
    }),
  );
}

const relativeErrorMax = 1e-11;

function areAlike(one: bigint, other: bigint): boolean {
  const [first, second] = [numberOf(one), numberOf(other)];
  return Math.abs(first - second) <= relativeErrorMax * Math.abs(first);
}

function numberOf(bits: bigint): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, bits);
  return view.getFloat64(0);
}

function isNaNBits(bits: bigint): boolean {
  return (bits & 0x7fff_ffff_ffff_ffffn) > 0x7ff0_0000_0000_0000n;
}

async function exportSamples(url: string, fromMs: number, toMs: number): Promise<SamplesBySeries> {
  // Bounds are seconds as a float there: ask for a second more and cut to the millisecond here.
  const parameters = {
    'match[]': '{__name__!=""}',
    start: String(Math.floor(fromMs / 1000) - 1),
    end: String(Math.ceil(toMs / 1000) + 1),
  };
  const response = await fetch(`${url}/api/v1/export`, {
    method: 'POST',
    body: new URLSearchParams(parameters),
    signal: AbortSignal.timeout(exportMsMax),
  });
  const text = await response.text();
  assert(response.status === 200, `export answered ${response.status}: ${text.slice(0, 200)}`);
  const samples: SamplesBySeries = new Map();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [series, rows] = parseExportLine(line);
    assert(!samples.has(series), `exported twice: ${series}`);
    const inside = rows.filter(({ timestamp }) => timestamp >= fromMs && timestamp <= toMs);
    if (inside.length > 0) samples.set(series, inside);
  }
  return samples;
}

/**
 * `{"metric":{…},"values":[…],"timestamps":[…]}`, but not always JSON: infinities and some NaNs
 * are bare words among the values.
 */
export function parseExportLine(line: string): [series: string, rows: SampleBits[]] {
  const parts = /^\{"metric":(.*),"values":\[([^\]]*)\],"timestamps":\[([^\]]*)\]\}$/.exec(line);
  assert(parts !== null, `not a line of an export: ${line.slice(0, 200)}`);
  const [, metric = '', values = '', timestamps = ''] = parts;
  const labels = Object.entries(JSON.parse(metric) as Record<string, string>);
  const words = values.split(',');
  const rows = timestamps.split(',').map((timestamp, row) => ({
    timestamp: Number(timestamp),
    bits: bitsOf(words[row] ?? ''),
  }));
  assert(rows.length === words.length, `values without timestamps: ${line.slice(0, 200)}`);
  return [labelSetString(labels), rows];
}

const scratch = new DataView(new ArrayBuffer(8));

function bitsOf(word: string): bigint {
  if (word === 'null' || word === 'NaN') return staleMarkerBits;
  const infinity = word === '+Inf' ? Infinity : word === '-Inf' ? -Infinity : undefined;
  scratch.setFloat64(0, infinity ?? Number(word));
  return scratch.getBigUint64(0);
}
