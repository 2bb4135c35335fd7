import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canonicalLabelSet,
  formatLabelSet,
  formatLabelSetStart,
  isCanonicalLabelSet,
  LABEL_SET_BYTES_MAX,
  labelValue,
} from '../../proto/label-set.ts';
import { field, label, labels, varint } from './wire-fixture.ts';

/** Names from so few letters that they collide and sort in every way. */
const names = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', 'Z', '_', 'é'), minLength: 1, maxLength: 3 }),
  fc.integer({ min: 120, max: 140 }).map((length) => 'a'.repeat(length)),
);
const values = fc.oneof(fc.string({ maxLength: 4 }), fc.constant('v'.repeat(200)));
const pairLists = fc
  .uniqueArray(fc.tuple(names, values), { selector: ([name]) => name, maxLength: 8 })
  .map((pairs) => [['__name__', 'up'] as const, ...pairs.map(([n, v]) => [n, v] as const)]);

function canonical(bytes: Iterable<number>): Uint8Array {
  const verdict = canonicalLabelSet(Uint8Array.from(bytes));
  if (verdict.kind === 'refused') throw new Error(verdict.reason);
  return verdict.bytes;
}

describe('the beginning of a label set of any size', () => {
  const start = (...pairs: [string, string][]): string => {
    const set = Uint8Array.from(pairs.flatMap(([name, value]) => label(name, value)));
    return formatLabelSetStart(set, 0, set.length, 30);
  };

  it('has the metric name first, wherever it stands', () => {
    expect(start(['A', '1'], ['B', '2'], ['__name__', 'up'])).toBe('{__name__="up", A="1", B="2"}');
    expect(start(['A', 'x'.repeat(100)], ['B', '2'], ['__name__', 'up'])).toBe(
      `{__name__="up", A="${'x'.repeat(30)}"}`,
    );
  });

  it('cuts what is long, and looks no further than a label set may reach', () => {
    const long = 'x'.repeat(LABEL_SET_BYTES_MAX);
    expect(start(['__name__', 'up'], ['a', long], ['b', '2'])).toBe(
      `{__name__="up", a="${'x'.repeat(30)}"}`,
    );
    expect(start(['a', long], ['b', '2'], ['__name__', 'up'])).toBe(`{a="${'x'.repeat(30)}"}`);
  });

  it('ends where the labels are no protobuf', () => {
    const set = Uint8Array.from([...label('__name__', 'up'), 0x0a, 0x7f, 1]);
    expect(formatLabelSetStart(set, 0, set.length, 30)).toBe('{__name__="up"}');
    expect(formatLabelSetStart(set, 4, set.length, 30)).toBe('{}');
  });
});

describe('a canonical label set', () => {
  it('is sorted by bytes and has no empty value, whatever the order it came in', () => {
    fc.assert(
      fc.property(pairLists, fc.infiniteStream(fc.nat()), (pairs, chance) => {
        const shuffled = pairs
          .map((pair) => ({ pair, rank: chance.next().value }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ pair }) => pair);
        const wanted = pairs
          .filter(([, value]) => value !== '')
          .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        expect(canonical(labels(...shuffled))).toEqual(labels(...wanted));
      }),
    );
  });

  it('is recognised as canonical, and nothing else is', () => {
    const spoiled = fc.record({
      pairs: pairLists,
      padding: fc.nat(1),
      outerPadding: fc.nat(1),
      prefix: fc.constantFrom('', 'unknown', 'valueFirst'),
    });
    fc.assert(
      fc.property(spoiled, ({ pairs, padding, outerPadding, prefix }) => {
        const bytes = pairs.flatMap(([name, value]) => {
          const parts = [field(1, name, padding), field(2, value)];
          if (prefix === 'unknown') parts.unshift(field(3, 'x'));
          if (prefix === 'valueFirst') parts.reverse();
          return field(1, parts.flat(), outerPadding);
        });
        const once = canonical(bytes);
        expect(isCanonicalLabelSet(once, 0, once.length)).toBe(true);
        const isSame = Buffer.compare(once, Uint8Array.from(bytes)) === 0;
        expect(isCanonicalLabelSet(Uint8Array.from(bytes), 0, bytes.length)).toBe(isSame);
      }),
      { numRuns: 500 },
    );
  });

  it('never comes out of damaged bytes as something that is not canonical', () => {
    const whole = labels(['__name__', 'up'], ['job', 'node'], ['z', '1']);
    const positions = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1 });
    fc.assert(
      fc.property(positions, fc.nat(whole.length), (changes, length) => {
        const bytes = whole.slice(0, length);
        for (const [at, byte] of changes) if (at < length) bytes[at] = byte;
        const verdict = canonicalLabelSet(bytes);
        if (verdict.kind === 'refused') {
          expect(isCanonicalLabelSet(bytes, 0, length)).toBe(false);
        } else {
          expect(isCanonicalLabelSet(verdict.bytes, 0, verdict.bytes.length)).toBe(true);
          expect(canonical(verdict.bytes)).toEqual(verdict.bytes);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('keeps a value that is no UTF-8 byte for byte', () => {
    const bytes = [
      ...label('__name__', 'up'),
      ...field(1, [...field(1, 'a'), ...field(2, [0xff])]),
    ];
    expect(canonical(bytes)).toEqual(Uint8Array.from(bytes));
  });

  it('takes UTF-8 names and reads a field that comes twice as protobuf does', () => {
    const utf8 = labels(['__name__', 'resource.cpu usage'], ['é', '1']);
    expect(canonical(utf8)).toEqual(utf8);
    const twice = field(1, [...field(1, 'x'), ...field(2, '1'), ...field(1, 'job')]);
    const once = labels(['__name__', 'up'], ['job', '1']);
    expect(canonical([...label('__name__', 'up'), ...twice])).toEqual(once);
  });
});

describe('a label set is refused', () => {
  const up = label('__name__', 'up');

  it.each([
    ['without labels', [], 'no_labels', undefined],
    ['without a metric name', label('job', 'node'), 'no_metric_name', undefined],
    ['with an empty metric name', label('__name__', ''), 'no_metric_name', undefined],
    ['with a name twice', [...up, ...label('a', '1'), ...label('a', '1')], 'duplicate_label', 'a'],
    [
      'with a name twice, once empty',
      [...up, ...up, ...label('__name__', '')],
      'duplicate_label',
      '__name__',
    ],
    ['with an empty name', [...up, ...label('', '1')], 'invalid_name', ''],
    ['with a name missing', [...up, ...field(1, field(2, '1'))], 'invalid_name', ''],
    [
      'with a name that is no UTF-8',
      [...up, ...field(1, field(1, [0xc3]))],
      'invalid_name',
      '\ufffd',
    ],
    ['with a number for a name', [...up, ...field(1, [0x08, 1])], 'malformed', undefined],
    ['with something else among the labels', [...up, 0x10, 1], 'malformed', undefined],
    ['cut off', up.slice(0, -1), 'malformed', undefined],
  ])('%s', (_, bytes, reason, name) => {
    const verdict = canonicalLabelSet(Uint8Array.from(bytes));
    expect(verdict).toEqual({
      kind: 'refused',
      reason,
      ...(name === undefined ? {} : { label: name }),
    });
    expect(isCanonicalLabelSet(Uint8Array.from(bytes), 0, bytes.length)).toBe(false);
  });

  it('above the limit, and not at it', () => {
    const name = label('__name__', 'up');
    const overhead =
      label('a', 'x'.repeat(LABEL_SET_BYTES_MAX / 2)).length - LABEL_SET_BYTES_MAX / 2;
    const value = 'x'.repeat(LABEL_SET_BYTES_MAX - name.length - overhead);
    const largest = Uint8Array.from([...name, ...label('a', value)]);
    expect(largest).toHaveLength(LABEL_SET_BYTES_MAX);
    expect(canonical(largest)).toEqual(largest);
    const larger = Uint8Array.from([...name, ...label('a', `${value}x`)]);
    expect(canonicalLabelSet(larger)).toEqual({ kind: 'refused', reason: 'too_large' });
    expect(isCanonicalLabelSet(larger, 0, larger.length)).toBe(false);
  });
});

describe('labels', () => {
  const set = labels(['__name__', 'up'], ['a.b', 'say "hi"\n'], ['job', 'node']);

  it('are printed as Prometheus prints them', () => {
    expect(formatLabelSet(set)).toBe('{__name__="up", "a.b"="say \\"hi\\"\\n", job="node"}');
    expect(formatLabelSet(labels())).toBe('{}');
  });

  it('are found by name', () => {
    expect(Buffer.from(labelValue(set, 'job')!).toString()).toBe('node');
    expect(labelValue(set, 'instance')).toBeUndefined();
  });

  it('with lengths of several bytes are read', () => {
    const long = field(1, [0x0a, ...varint(1, 3), 0x61, ...field(2, 'v'.repeat(300))]);
    expect(labelValue(Uint8Array.from(long), 'a')).toHaveLength(300);
  });
});
