import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type PackHead, PackTable } from '../../agent/buffer/pack-table.ts';
import { recodePack, type SplitDeps, splitPack } from '../../agent/pack-split.ts';
import { TargetKeys } from '../../agent/target-keys.ts';
import { encodeSeriesEntry } from '../../proto/dictionary-entry.ts';
import { decodePack } from '../../proto/pack.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { type SampleFormat, sampleFormats } from '../../proto/sample-format.ts';
import { labelBytes } from '../hub/series-fixture.ts';
import { memoryLog } from '../tools/memory-log.ts';
import { Workspace } from '../tools/workspace.ts';
import { openBuffer, type StillClock, seriesEntries, T0 } from './buffer-fixture.ts';
import { pack } from './packs-fixture.ts';

const SERIES = 3;
const FORMAT = 3;
/** No pack of these tests is larger: it becomes two. */
const HALVES = 1e6;
const OTHER_FORMAT = 98;

let workspace: Workspace;
let dataDir: string;
let deps: SplitDeps;

beforeEach(() => {
  workspace = new Workspace('pack-split');
  dataDir = workspace.subfolder('data');
  open('split');
});
afterEach(async () => {
  deps.buffer.close();
  await workspace.close();
});

function open(seed: string, ageMaxMs = 0): StillClock {
  const { buffer, clock } = openBuffer(dataDir, seed, { ageMaxMs });
  deps = { buffer, targets: new TargetKeys(buffer), log: memoryLog().log };
  return clock;
}

/** Appends segments of so many samples each and packs them; each value is unlike the others. */
function packed(...segments: number[]): PackHead {
  const { buffer } = deps;
  let at = 0;
  for (const samples of segments) {
    const columns = new SampleColumns();
    for (let row = 0; row < samples; row++, at++) {
      columns.push(at % SERIES, T0 + at * 100, at, 0x7ff00000);
    }
    const entries = seriesEntries('a', 'b', 'c');
    const isFirst = buffer.dictionary.length === 0;
    const newEntries = isFirst ? { newEntries: { firstId: 0, entries } } : {};
    buffer.append([{ tenant: '', columns, ...newEntries }]);
  }
  return pack(buffer, 1e6);
}

/** Values of each series over all packs, in their order. */
function values(): number[][] {
  const series: number[][] = Array.from({ length: SERIES }, () => []);
  for (const pack of deps.buffer.packs('')) {
    const columns = new SampleColumns();
    decodePack(deps.buffer.readPack(pack)!, { ...pack, idsMax: SERIES }, columns);
    for (let row = 0; row < columns.count; row++) {
      series[columns.ids[row]!]!.push(columns.valueBits[row * 2]!);
    }
    deps.buffer.unpinPack(pack);
  }
  return series;
}

/** Ids of the series in a pack, ascending. */
function seriesIn(pack: PackHead, idsMax = SERIES): number[] {
  const columns = new SampleColumns();
  decodePack(deps.buffer.readPack(pack)!, { ...pack, idsMax }, columns);
  deps.buffer.unpinPack(pack);
  return [...new Set(columns.ids.subarray(0, columns.count))].sort();
}

/** 0, 3, 6, … and so on for each series. */
const expected = (samples: number) =>
  Array.from({ length: SERIES }, (_, id) =>
    Array.from({ length: Math.ceil((samples - id) / SERIES) }, (_, at) => id + at * SERIES),
  );

describe('a pack that is split', () => {
  test('becomes two, each with other series and all of their samples in their order', () => {
    const pack = packed(40, 40, 21);
    expect(splitPack(pack, HALVES, deps)).toBe(true);
    const parts = deps.buffer.packs('');
    expect(parts.map(({ samples }) => samples)).toEqual([67, 34]);
    expect(parts.map((part) => seriesIn(part))).toEqual([[0, 2], [1]]);
    expect(values()).toEqual(expected(101));
    for (const part of parts) {
      expect(part.oldest).toBeGreaterThanOrEqual(pack.oldest);
      expect(part.newest).toBeLessThanOrEqual(pack.newest);
    }
    expect(deps.buffer.backlog.get('')).toBe(101);
  });

  test('becomes as many as the limit asks for, where there are so many series', () => {
    const pack = packed(90);
    expect(splitPack(pack, Math.ceil(pack.bytes / 3), deps)).toBe(true);
    expect(deps.buffer.packs('').map((part) => seriesIn(part))).toEqual([[0], [1], [2]]);
    expect(values()).toEqual(expected(90));
  });

  test('has something of everything in each part: of both replicas of a pair, above all', () => {
    const { buffer } = deps;
    const columns = new SampleColumns();
    const count = 120;
    for (let id = 0; id < count; id++) columns.push(id, T0 + id, id, 0x7ff00000);
    const names = Array.from({ length: count }, (_, id) => `series_${id}`);
    const newEntries = { firstId: 0, entries: seriesEntries(...names) };
    buffer.append([{ tenant: '', columns, newEntries }]);
    const whole = pack(buffer, 1e6);
    expect(splitPack(whole, Math.ceil(whole.bytes / 4), deps)).toBe(true);
    const halves = buffer.packs('').map((part) => {
      const ids = seriesIn(part, count);
      return [ids.filter((id) => id < count / 2).length, ids.length];
    });
    expect(halves).toHaveLength(4);
    for (const [ofFirst, all] of halves) {
      expect(all).toBeGreaterThan(20);
      expect(ofFirst! / all!).toBeGreaterThan(0.3);
      expect(ofFirst! / all!).toBeLessThan(0.7);
    }
  });

  test('of one series alone is cut in the middle, and the earlier half goes first', () => {
    const { buffer } = deps;
    const columns = new SampleColumns();
    for (let at = 0; at < 9; at++) columns.push(1, T0 + at, at, 0);
    const newEntries = { firstId: 0, entries: seriesEntries('a', 'b', 'c') };
    buffer.append([{ tenant: '', columns, newEntries }]);
    expect(splitPack(pack(buffer, 1e6), 1, deps)).toBe(true);
    expect(buffer.packs('').map(({ samples }) => samples)).toEqual([5, 4]);
    expect(values()).toEqual([[], [0, 1, 2, 3, 4, 5, 6, 7, 8], []]);
  });

  test('is split on down to single samples, and stays in order over a restart', () => {
    packed(3, 4);
    for (let round = 0; round < 4; round++) {
      for (const pack of [...deps.buffer.packs('')]) splitPack(pack, HALVES, deps);
    }
    expect(deps.buffer.packs('').map(({ samples }) => samples)).toEqual([1, 1, 1, 1, 1, 1, 1]);
    for (const pack of [...deps.buffer.packs('')])
      expect(splitPack(pack, HALVES, deps)).toBe(false);
    expect(values()).toEqual(expected(7));
    deps.buffer.close();
    open('later');
    expect(values()).toEqual(expected(7));
  });

  test('takes no place of another tenant’s, whose segments lie between its own', () => {
    const { buffer } = deps;
    for (let at = 0; at < 8; at++) {
      const columns = new SampleColumns();
      columns.push(at % 2, T0 + at, at, 0);
      const entries = [...seriesEntries('a'), encodeSeriesEntry('other', labelBytes({ job: 'b' }))];
      const newEntries = at > 0 ? {} : { newEntries: { firstId: 0, entries } };
      buffer.append([{ tenant: at % 2 === 0 ? '' : 'other', columns, ...newEntries }]);
    }
    pack(buffer, 1e6);
    pack(buffer, 1e6, 'other');
    for (const tenant of ['', 'other']) {
      expect(splitPack(buffer.packs(tenant)[0]!, HALVES, deps)).toBe(true);
      expect(splitPack(buffer.packs(tenant)[1]!, HALVES, deps)).toBe(true);
      expect(buffer.packs(tenant).map(({ samples }) => samples)).toEqual([2, 1, 1]);
    }
    expect(buffer.backlog).toEqual(
      new Map([
        ['', 4],
        ['other', 4],
      ]),
    );
  });

  test('keeps its epoch in use under the name that it has now', () => {
    packed(10, 10);
    deps.buffer.openEpoch();
    expect(splitPack(deps.buffer.packs('')[0]!, HALVES, deps)).toBe(true);
    deps.buffer.housekeep();
    expect(deps.buffer.dictionaries).toHaveLength(2);
    expect(values()).toEqual(expected(20));
  });

  test('is pinned no longer than that takes', () => {
    deps.buffer.close();
    const clock = open('aged', 60_000);
    const single = packed(1);
    expect(splitPack(single, HALVES, deps)).toBe(false);
    clock.ms += 60_001;
    deps.buffer.housekeep();
    expect(deps.buffer.losses.samples.age).toBe(1);
  });

  test('is left alone when it has one sample, or is damaged', () => {
    const single = packed(1);
    expect(splitPack(single, HALVES, deps)).toBe(false);
    expect(deps.buffer.packs('')).toEqual([single]);
    const body = vi.spyOn(PackTable.prototype, 'body').mockReturnValue(undefined);
    expect(splitPack({ ...single }, HALVES, deps)).toBe(false);
    expect(splitPack(single, HALVES, deps)).toBe(false);
    body.mockRestore();
    expect(deps.buffer.packs('')).toEqual([]);
    expect(deps.buffer.losses.samples.damaged).toBe(1);
  });
});

describe('a pack that is written in another format', () => {
  const formats = sampleFormats as Map<number, SampleFormat>;

  beforeEach(() => {
    formats.set(OTHER_FORMAT, sampleFormats.get(FORMAT)!);
  });
  afterEach(() => {
    formats.delete(OTHER_FORMAT);
  });

  test('has the same samples, and what was answered for of it still is', () => {
    const pack = packed(30, 30);
    expect(pack.format).toBe(OTHER_FORMAT);
    expect(recodePack(pack, FORMAT, deps)).toBe(true);
    const [written] = deps.buffer.packs('');
    const { id, lastId, samples, positions, epoch } = pack;
    expect(written).toMatchObject({ id, lastId, samples, positions, epoch, format: FORMAT });
    expect(values()).toEqual(expected(60));
    expect(deps.buffer.acknowledge('', positions)).toBe(60);
    // The next segment has the next position: a hole would mean a loss.
    deps.buffer.append([{ tenant: '', columns: new SampleColumns(0) }]);
    const columns = new SampleColumns();
    columns.push(0, T0, 1, 0);
    deps.buffer.append([{ tenant: '', columns }]);
    expect(deps.buffer.read('', 10).map(({ sequence }) => sequence)).toEqual([3]);
  });

  test('stays as it is when this version cannot read it', () => {
    const pack = packed(30);
    formats.delete(OTHER_FORMAT);
    expect(recodePack(pack, FORMAT, deps)).toBe(false);
    expect(splitPack(pack, HALVES, deps)).toBe(false);
    expect(deps.buffer.packs('')).toEqual([pack]);
  });
});
