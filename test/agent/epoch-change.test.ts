import { describe, expect, it } from 'vitest';
import { changeEpochs } from '../../agent/epoch-change.ts';
import { SeriesTable } from '../../agent/series/series-table.ts';
import { createLog } from '../../base/log.ts';
import { ByteWriter } from '../../proto/bytes.ts';
import { encodeSeriesEntry } from '../../proto/dictionary-entry.ts';
import { writeBytesField } from '../../proto/field-writer.ts';

const HOUR_MS = 3_600_000;

/** One label set `{__name__=name}` as it comes in. */
function labelsOf(name: string): Uint8Array {
  const label = new ByteWriter();
  writeBytesField(label, 0x0a, Buffer.from('__name__'));
  writeBytesField(label, 0x12, Buffer.from(name));
  const labels = new ByteWriter();
  writeBytesField(labels, 0x0a, label.finish());
  return labels.finish();
}

/** A metadata record of a gauge as it comes in. */
function metadataOf(family: string): Uint8Array {
  const record = new ByteWriter();
  record.byte(0x08);
  record.byte(2);
  writeBytesField(record, 0x12, Buffer.from(family));
  return record.finish();
}

/** Runs the loop for `hours` of virtual time; `meet` names the series met in each hour. */
async function runHours(
  hours: number,
  meet: (hour: number) => string[],
  backlog = new Map<string, number>(),
  series = new SeriesTable({ seriesMax: 1000 }),
  stepMs = 0,
) {
  const ending = new AbortController();
  let hour = 0;
  let opened = 0;
  const meetAll = () => {
    const tenant = series.tenant('');
    for (const name of meet(hour)) {
      const labels = labelsOf(name);
      series.resolve(tenant, labels, 0, labels.length);
    }
  };
  const clock = {
    now: () => hour * HOUR_MS + (hour > 5 ? stepMs : 0),
    elapsedMs: () => hour * HOUR_MS,
    sleep() {
      meetAll();
      hour++;
      if (hour > hours) ending.abort();
      return Promise.resolve();
    },
  };
  const buffer = { stats: () => Promise.resolve({ backlog }), openEpoch: () => opened++ };
  const log = createLog({ level: 'fatal', name: 'test' });
  await changeEpochs({ series, buffer, clock, log }, ending.signal);
  return { opened, entries: series.length };
}

const all = ['a', 'b', 'c', 'd'];

/** A table with so many entries of an earlier process. */
function restored(entries: number): SeriesTable {
  const series = new SeriesTable({ seriesMax: 1000 });
  for (let id = 0; id < entries; id++) {
    series.restore(encodeSeriesEntry('', labelsOf(`m${id}`)), id);
  }
  return series;
}

function meet(series: SeriesTable, name: string): void {
  const labels = labelsOf(name);
  series.resolve(series.tenant(''), labels, 0, labels.length);
}

describe('the share of entries that were not met', () => {
  it.each([
    ['the Unix epoch', 0],
    ['the start of a machine', 12_345_678],
    ['our time', 1_800_000_000_000],
  ])('counts from the start of the process, whatever %s is on the clock', (_, startMs) => {
    const series = restored(4);
    const at = (hour: number) => series.tick(startMs + hour * HOUR_MS);
    at(0);
    expect(series.unseenShare(24)).toBe(0);
    at(24);
    meet(series, 'm0');
    expect(series.unseenShare(24)).toBe(0);
    at(25);
    expect(series.unseenShare(24)).toBe(0.75);
    meet(series, 'm1');
    meet(series, 'new');
    expect(series.unseenShare(24)).toBe(0.4);
    at(49);
    expect(series.unseenShare(24)).toBe(0.6);
    series.reset();
    expect(series.unseenShare(24)).toBe(0);
  });

  it('counts metadata as well', () => {
    const series = restored(1);
    series.tick(0);
    const metadata = metadataOf('m0');
    series.noteMetadata(series.tenant(''), metadata, 0, metadata.length);
    series.tick(25 * HOUR_MS);
    series.noteMetadata(series.tenant(''), metadata, 0, metadata.length);
    expect(series.unseenShare(24)).toBe(0.5);
  });
});

describe('the epoch of the dictionary', () => {
  it('stays for a day after a restart, though nothing was met since', async () => {
    const day = await runHours(25, () => [], new Map(), restored(4));
    expect(day).toEqual({ opened: 0, entries: 4 });
    const more = await runHours(26, () => [], new Map(), restored(4));
    expect(more).toEqual({ opened: 1, entries: 0 });
  });

  it('stays when the clock of the machine is set a year forward', async () => {
    const result = await runHours(10, () => [], new Map(), restored(4), 365 * 24 * HOUR_MS);
    expect(result).toEqual({ opened: 0, entries: 4 });
  });

  it('stays while its series are met', async () => {
    expect(await runHours(100, () => all)).toEqual({ opened: 0, entries: 4 });
  });

  it('stays while half of its series are gone, and while they have been gone for a day', async () => {
    const halfGone = await runHours(100, (hour) => (hour < 10 ? all : ['a', 'b']));
    expect(halfGone).toEqual({ opened: 0, entries: 4 });
    const justGone = await runHours(25, (hour) => (hour < 10 ? all : ['a']));
    expect(justGone).toEqual({ opened: 0, entries: 4 });
  });

  it('is changed once when more than half have not been met for a day', async () => {
    expect(await runHours(100, (hour) => (hour < 10 ? all : ['a']))).toEqual({
      opened: 1,
      entries: 1,
    });
  });

  it('is not changed while samples wait', async () => {
    const waiting = new Map([['', 5]]);
    const result = await runHours(100, (hour) => (hour < 10 ? all : ['a']), waiting);
    expect(result).toEqual({ opened: 0, entries: 4 });
  });
});
