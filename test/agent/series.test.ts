import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteStrings } from '../../agent/series/byte-strings.ts';
import { SeriesTable } from '../../agent/series/series-table.ts';
import { DecodeError } from '../../proto/bytes.ts';
import { decodeEntry, encodeSeriesEntry } from '../../proto/dictionary-entry.ts';
import { formatLabelSet } from '../../proto/label-set.ts';
import { FULL, REFUSED } from '../../proto/series-lookup.ts';
import { field, label, labels } from '../proto/wire-fixture.ts';

const up = labels(['__name__', 'up'], ['job', 'node']);
const down = labels(['__name__', 'down'], ['job', 'node']);

function newTable(seriesMax = 1000): SeriesTable {
  return new SeriesTable({ seriesMax });
}

/** Resolves label bytes that stand somewhere inside a larger array, as in a request. */
function resolve(table: SeriesTable, tenant: number, bytes: Uint8Array): number {
  const request = Uint8Array.from([7, 7, 7, ...bytes, 7]);
  return table.resolve(tenant, request, 3, 3 + bytes.length);
}

function noteMetadata(table: SeriesTable, tenant: number, bytes: number[]): number {
  return table.noteMetadata(tenant, Uint8Array.from(bytes), 0, bytes.length);
}

/** The entries that wait, as text. */
function taken(table: SeriesTable): string[] {
  return (table.takeNewEntries()?.entries ?? []).map((entry) => {
    const decoded = decodeEntry(entry);
    const shown = decoded.kind === 'series' ? formatLabelSet(decoded.labels) : decoded.help;
    return `${decoded.tenant} ${shown}`;
  });
}

describe('the series table', () => {
  it('gives each series the next id, and the same one for ever', () => {
    const table = newTable();
    const tenant = table.tenant('');
    expect([up, down, up, down].map((bytes) => resolve(table, tenant, bytes))).toEqual([
      0, 1, 0, 1,
    ]);
  });

  it('keeps tenants apart while ids count over all of them', () => {
    const table = newTable();
    const [a, b] = [table.tenant('a'), table.tenant('b')];
    expect([a, b, a, b].map((tenant) => resolve(table, tenant, up))).toEqual([0, 1, 0, 1]);
    expect(table.tenant('a')).toBe(a);
    expect(taken(table)).toEqual([
      'a {__name__="up", job="node"}',
      'b {__name__="up", job="node"}',
    ]);
  });

  it('knows a series in whatever form its labels come', () => {
    const table = newTable();
    const tenant = table.tenant('');
    const forms = [
      labels(['job', 'node'], ['__name__', 'up']),
      up,
      labels(['__name__', 'up'], ['empty', ''], ['job', 'node']),
      Uint8Array.from([
        ...label('job', 'node'),
        ...field(1, [...field(2, 'up'), ...field(1, '__name__')]),
      ]),
    ];
    for (const form of [...forms, ...forms]) expect(resolve(table, tenant, form)).toBe(0);
    expect(taken(table)).toEqual([' {__name__="up", job="node"}']);
  });

  it('gives the right id when another series follows than the last time', () => {
    const table = newTable();
    const tenants = [table.tenant('a'), table.tenant('b')];
    const sets = Array.from({ length: 5 }, (_, i) => labels(['__name__', 'm'], ['i', `${i}`]));
    const known = new Map<string, number>();
    const steps = fc.array(fc.tuple(fc.nat(1), fc.nat(4)), { maxLength: 60 });
    fc.assert(
      fc.property(steps, (order) => {
        for (const [tenant, set] of order) {
          const id = resolve(table, tenants[tenant]!, sets[set]!);
          const key = `${tenant} ${set}`;
          if (!known.has(key)) known.set(key, id);
          expect(id).toBe(known.get(key));
        }
      }),
    );
    expect(new Set(known.values()).size).toBe(known.size);
  });

  it('hands each new entry out once, with the id of the first', () => {
    const table = newTable();
    const tenant = table.tenant('t');
    expect(table.takeNewEntries()).toBeUndefined();
    resolve(table, tenant, up);
    expect(table.takeNewEntries()).toEqual({ firstId: 0, entries: [encodeSeriesEntry('t', up)] });
    resolve(table, tenant, up);
    expect(table.takeNewEntries()).toBeUndefined();
    resolve(table, tenant, down);
    expect(table.takeNewEntries()).toEqual({ firstId: 1, entries: [encodeSeriesEntry('t', down)] });
  });

  it('restored from the log knows every entry under its id and hands none out again', () => {
    const first = newTable();
    const metadata = [...field(2, 'up'), ...field(4, 'Is it?')];
    const ids = (table: SeriesTable) => [
      resolve(table, table.tenant('a'), up),
      noteMetadata(table, table.tenant('a'), metadata),
      resolve(table, table.tenant('b'), up),
      resolve(table, table.tenant('b'), down),
    ];
    expect(ids(first)).toEqual([0, 1, 2, 3]);
    const second = newTable(1);
    first.takeNewEntries()!.entries.forEach((entry, id) => {
      second.restore(entry, id);
    });
    expect(ids(second)).toEqual([0, 1, 2, 3]);
    expect(second.takeNewEntries()).toBeUndefined();
  });

  it('at its limit refuses what is new and still knows what it has', () => {
    const table = newTable(1);
    const tenant = table.tenant('');
    expect(resolve(table, tenant, up)).toBe(0);
    expect(resolve(table, tenant, down)).toBe(FULL);
    expect(resolve(table, tenant, labels(['job', 'x'], ['__name__', 'y']))).toBe(FULL);
    expect(noteMetadata(table, tenant, field(2, 'up'))).toBe(FULL);
    expect(resolve(table, tenant, up)).toBe(0);
    expect(table.length).toBe(1);
  });

  it('says why a label set is refused, and throws for one that is no protobuf', () => {
    const table = newTable();
    const tenant = table.tenant('');
    expect(resolve(table, tenant, labels(['job', 'node']))).toBe(REFUSED);
    expect(table.lastRefusal.reason).toBe('no_metric_name');
    expect(resolve(table, tenant, Uint8Array.from([...up, ...label('job', 'x')]))).toBe(REFUSED);
    expect(table.lastRefusal).toMatchObject({ reason: 'duplicate_label', label: 'job' });
    expect(() => resolve(table, tenant, up.subarray(0, 5))).toThrow(DecodeError);
    expect(table.length).toBe(0);
  });

  it('appends a metadata record only when the log does not have it yet', () => {
    const table = newTable();
    const tenant = table.tenant('');
    const record = (help: string) => [...field(2, 'up'), ...field(4, help)];
    noteMetadata(table, tenant, record('one'));
    expect(taken(table)).toEqual([' one']);
    // Two exporters that explain a family differently: both are sent every minute.
    for (let minute = 0; minute < 3; minute++) {
      noteMetadata(table, tenant, record('one'));
      noteMetadata(table, tenant, record('two'));
      noteMetadata(table, tenant, [...field(4, 'two'), ...field(2, 'up')]);
    }
    expect(taken(table)).toEqual([' two']);
    expect(noteMetadata(table, tenant, field(4, 'no family'))).toBe(REFUSED);
  });

  it('forgets everything when a new epoch begins', () => {
    const table = newTable();
    resolve(table, table.tenant('old'), down);
    resolve(table, table.tenant('old'), up);
    table.reset();
    expect(table.length).toBe(0);
    expect(resolve(table, table.tenant('new'), up)).toBe(0);
    expect(taken(table)).toEqual(['new {__name__="up", job="node"}']);
  });

  it('knows a series however many forms of its labels a sender invents', () => {
    const table = newTable();
    const tenant = table.tenant('');
    for (let i = 0; i < 20_000; i++) {
      // A different form each time: empty labels are dropped.
      const form = labels(['__name__', 'up'], ['job', 'node'], [`empty_${i}`, '']);
      expect(resolve(table, tenant, form)).toBe(0);
    }
    expect(table.length).toBe(1);
  });

  it('takes a limited number of tenants', () => {
    const table = newTable();
    for (let i = 0; i < 10_000; i++) expect(table.tenant(`t${i}`)).toBe(i);
    expect(table.tenant('one more')).toBe(FULL);
    expect(table.tenant('t9999')).toBe(9999);
  });
});

describe('numbered byte strings', () => {
  it('answer as a map does, over many chunks and every length', () => {
    const strings = new ByteStrings();
    const model = new Map<string, number>();
    for (let i = 0; i < 4000; i++) {
      const bytes = new Uint8Array(1 + (i % 1500)).fill(i % 251);
      const space = i % 3;
      const key = `${space} ${Buffer.from(bytes).toString('hex')}`;
      const known = model.get(key);
      expect(strings.find(space, bytes, 0, bytes.length)).toBe(known ?? -1);
      if (known === undefined) model.set(key, strings.add(space, bytes));
    }
    expect(strings.count).toBe(model.size);
    expect(strings.bytes).toBeGreaterThan(2 * 2 ** 20);
    for (const [key, number] of model) {
      const [space, hex] = key.split(' ') as [string, string];
      const bytes = Buffer.from(hex, 'hex');
      expect(strings.find(Number(space), bytes, 0, bytes.length)).toBe(number);
      expect(strings.spaceOf(number)).toBe(Number(space));
      expect(Buffer.compare(strings.at(number), bytes)).toBe(0);
    }
  });

  it('tell strings apart that differ in a single byte anywhere', () => {
    const strings = new ByteStrings();
    for (const length of [1, 3, 4, 5, 8, 11]) {
      const bytes = new Uint8Array(length).fill(9);
      const number = strings.add(0, bytes);
      for (let at = 0; at < length; at++) {
        const other = bytes.slice();
        other[at] = 8;
        expect(strings.matches(number, 0, other, 0, length)).toBe(false);
        expect(strings.find(0, other, 0, length)).toBe(-1);
      }
      expect(strings.matches(number, 0, bytes, 0, length)).toBe(true);
      expect(strings.matches(number, 1, bytes, 0, length)).toBe(false);
    }
  });
});
