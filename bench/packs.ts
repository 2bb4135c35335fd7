import { readFileSync } from 'node:fs';
import { Buffer as SampleBuffer } from '../agent/buffer/buffer.ts';
import { PACKING, packBacklog } from '../agent/packing.ts';
import { TargetKeys } from '../agent/target-keys.ts';
import { assert } from '../base/assert.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import type { Flag } from '../cli/flags.ts';
import { encodeSeriesEntry } from '../proto/dictionary-entry.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import { Workspace } from '../test/tools/workspace.ts';
import { nodeMix15s, readCapture } from './capture.ts';
import { CapturedSamples } from './captured-samples.ts';
import { numberFlag, readFlags } from './flags.ts';
import { Load } from './link/load.ts';
import { formatTable } from './table.ts';

const FLAGS: readonly Flag[] = [
  { name: 'series', value: '212000', meaning: 'copies with a label of their own beyond 6649' },
  { name: 'seconds', value: '600', meaning: 'of samples in the backlog; at most 1200' },
];
const TENANT = '';
const EPOCH_MS = 1_790_000_000_000;

/**
 * A backlog of many series becomes packs, cut by time and cut by series: bytes, speed, and how long
 * others wait for their turn. No link and no other process.
 */
export async function run(args: readonly string[]): Promise<void> {
  const flags = readFlags('npm run bench -- packs [options]', args, FLAGS);
  if (flags === undefined) return;
  const series = numberFlag(flags, 'series', 212_000);
  const seconds = numberFlag(flags, 'seconds', 600);
  const load = new Load(new CapturedSamples(readCapture(nodeMix15s)), { seconds, series });
  const rows = [
    ['cut by', 'samples', 'packs', 'B/sample', 'M samples/s', 'longest turn, ms', 'peak RSS, MiB'],
  ];
  for (const cut of ['time', 'series'] as const) {
    const workspace = new Workspace('bench-packs');
    try {
      rows.push([cut, ...(await measure(workspace.subfolder('data'), load, cut))]);
    } finally {
      await workspace.close();
    }
  }
  console.log(`packs: node-mix-15s, ${load.seriesCount} series, ${seconds} s of them`);
  console.log(formatTable(rows));
}

async function measure(dataDir: string, load: Load, cut: 'time' | 'series'): Promise<string[]> {
  const limits = {
    bytesMax: 2 ** 36,
    parkedBytesMax: 2 ** 36,
    ageMaxMs: 0,
    whenFull: 'reject',
    freeDiskBytesMin: 0,
  } as const;
  const log = createLog({ level: 'warn', name: 'bench' });
  const hubClock = { confirmed: () => undefined };
  const tools = { clock: systemClock, hubClock, random: systemRandom, log };
  const buffer = new SampleBuffer({ dataDir, ...limits }, tools);
  try {
    const targets = new TargetKeys(buffer);
    fill(buffer, load, targets);
    const ending = new AbortController();
    const clock = new TurnClock(ending);
    const startedMs = systemClock.elapsedMs();
    await packBacklog(
      { ...PACKING, ...(cut === 'time' ? { samplesPerSeriesMin: 0 } : {}) },
      { buffer, targets, clock, log, backlogEnd: () => Number.MAX_SAFE_INTEGER, onPacked() {} },
      ending.signal,
    );
    const ms = systemClock.elapsedMs() - startedMs;
    const packs = buffer.packs(TENANT);
    const samples = packs.reduce((sum, pack) => sum + pack.samples, 0);
    const bytes = packs.reduce((sum, pack) => sum + pack.bytes, 0);
    return [
      String(samples),
      String(packs.length),
      (bytes / samples).toFixed(3),
      (samples / ms / 1000).toFixed(2),
      clock.longestMs.toFixed(0),
      clock.peakMib.toFixed(0),
    ];
  } finally {
    buffer.close();
  }
}

/** Every request of the load as a segment of its own, as they come from many senders. */
function fill(buffer: SampleBuffer, load: Load, targets: TargetKeys): void {
  const { columns: captured } = load.samples;
  const ids = new Map<number, number>();
  for (const { atMs, copy, from, to } of load.pushes()) {
    const columns = new SampleColumns();
    const firstId = ids.size;
    const entries: Uint8Array[] = [];
    for (const row of load.rowsByTime.subarray(from, to)) {
      const series = load.series(copy, captured.ids[row]!);
      if (series < 0) continue;
      let id = ids.get(series);
      if (id === undefined) {
        id = ids.size;
        ids.set(series, id);
        entries.push(encodeSeriesEntry(TENANT, load.labels(copy, captured.ids[row]!)));
      }
      const [low, high] = captured.valueBits.subarray(row * 2, row * 2 + 2);
      columns.push(id, EPOCH_MS + atMs, low!, high!);
    }
    if (columns.count === 0) continue;
    const newEntries = entries.length === 0 ? {} : { newEntries: { firstId, entries } };
    const unavailable = buffer.append([{ tenant: TENANT, columns, ...newEntries }]);
    assert(unavailable === undefined, `the buffer says ${unavailable}`);
  }
  // The live stream has asked for all of them before.
  const keyOf = targets.keysOf(buffer.dictionary.epoch);
  for (const id of ids.values()) keyOf(id);
}

/** Ends the work when there is none; notes how long others waited for a turn. */
class TurnClock implements Clock {
  longestMs = 0;
  peakMib = 0;
  readonly now = systemClock.now;
  readonly #ending: AbortController;
  #turnEndedMs = systemClock.elapsedMs();
  #waits = 0;

  constructor(ending: AbortController) {
    this.#ending = ending;
  }

  /** Far behind everything that was stored. */
  elapsedMs(): number {
    return systemClock.elapsedMs() + 3_600_000;
  }

  async sleep(ms: number): Promise<void> {
    this.longestMs = Math.max(this.longestMs, systemClock.elapsedMs() - this.#turnEndedMs);
    const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    this.peakMib = Math.max(this.peakMib, Number(kib) / 1024);
    await new Promise((resolve) => setImmediate(resolve));
    if (ms > 0 && ++this.#waits > 1) this.#ending.abort();
    this.#turnEndedMs = systemClock.elapsedMs();
  }
}
