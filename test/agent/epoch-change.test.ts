import { describe, expect, it } from 'vitest';
import { changeEpochs } from '../../agent/epoch-change.ts';
import { SeriesTable } from '../../agent/series/series-table.ts';
import { createLog } from '../../base/log.ts';
import { ByteWriter } from '../../proto/bytes.ts';
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

/** Runs the loop for `hours` of virtual time; `meet` names the series met in each hour. */
async function runHours(
  hours: number,
  meet: (hour: number) => string[],
  backlog = new Map<string, number>(),
) {
  const series = new SeriesTable({ seriesMax: 1000 });
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
    now: () => hour * HOUR_MS,
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

describe('the epoch of the dictionary', () => {
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
