// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Go's replacements look like this.

/** Labels without `__name__` are what Prometheus' own tests use. */
export type Labels = Record<string, string>;

/** A configuration with series that go through it, and what comes out; null: dropped. */
export interface Group {
  rule: string;
  yaml: string;
  cases: [input: Labels, output: Labels | null][];
}

/** The configuration with these rules, each in YAML's flow style. */
export function rules(...entries: string[]): string {
  return `write_relabel_configs:\n${entries.map((entry) => `- ${entry}\n`).join('')}`;
}

const abc = { a: 'foo', b: 'bar', c: 'baz' };

/** Each action by itself, mostly from the tests of Prometheus' model/relabel. */
export const ACTIONS: Group[] = [
  {
    rule: 'replace writes the joined values into the target',
    yaml: rules(
      '{source_labels: [a], regex: f(.*), target_label: d, replacement: "ch${1}-ch${1}"}',
      '{source_labels: [x, y], target_label: joined}',
      '{source_labels: [x, y, z], separator: ", ", regex: "1, 2, (.*)", target_label: comma}',
      '{source_labels: [z], regex: gone, target_label: z, replacement: ""}',
      '{source_labels: [s], regex: "some-([^-]+)-([^,]+)", target_label: "${1}", replacement: "$2"}',
      '{source_labels: [t], regex: "(.*)", target_label: "${3}", replacement: never}',
      '{source_labels: [u], regex: "(.+)", target_label: "u-$1", replacement: any name}',
      '{source_labels: [v], regex: "(x)?.+", target_label: "$1", replacement: never}',
    ),
    cases: [
      [abc, { ...abc, d: 'choo-choo', joined: ';' }],
      [{ a: 'boo' }, { a: 'boo', joined: ';' }],
      [
        { x: '1', y: '2' },
        { x: '1', y: '2', joined: '1;2' },
      ],
      [
        { x: '1', y: '2', z: '3' },
        { x: '1', y: '2', z: '3', joined: '1;2', comma: '3' },
      ],
      [
        { z: 'gone', w: '1' },
        { w: '1', joined: ';' },
      ],
      [{ z: 'gone2' }, { z: 'gone2', joined: ';' }],
      [{ s: 'some-name-value' }, { s: 'some-name-value', name: 'value', joined: ';' }],
      [{ s: 'some-ö-value' }, { s: 'some-ö-value', ö: 'value', joined: ';' }],
      [{ t: '1' }, { t: '1', joined: ';' }],
      [{ u: '1' }, { u: '1', 'u-1': 'any name', joined: ';' }],
      [{ v: 'abc' }, { v: 'abc', joined: ';' }],
    ],
  },
  {
    rule: 'rules see what the rules before them did',
    yaml: rules(
      '{source_labels: [a, b], regex: "f(.*);(.*)r", target_label: a, replacement: "b${1}${2}m"}',
      '{source_labels: [c, a], regex: "(b).*b(.*)ba(.*)", target_label: d, replacement: "$1$2$2$3"}',
      '{action: labeldrop, regex: tmp_.*}',
      '{source_labels: [e], regex: (.+), target_label: tmp_e}',
    ),
    cases: [
      [abc, { a: 'boobam', b: 'bar', c: 'baz', d: 'boooom' }],
      [
        { e: '1', tmp_x: '2' },
        { e: '1', tmp_e: '1' },
      ],
    ],
  },
  {
    rule: 'keep',
    yaml: rules('{action: keep, source_labels: [a], regex: f.*}'),
    cases: [
      [{ a: 'foo' }, { a: 'foo' }],
      [{ a: 'of' }, null],
      [{ b: 'foo' }, null],
      [{ a: '' }, null],
      [{ a: 'f' }, { a: 'f' }],
    ],
  },
  {
    rule: 'drop',
    yaml: rules('{action: drop, source_labels: [a, b], regex: "x;|f|o|.*o.*;y"}'),
    cases: [
      [{ a: 'foo' }, { a: 'foo' }],
      [{ a: 'f' }, { a: 'f' }],
      [{ a: 'x' }, null],
      [{ a: 'foo', b: 'y' }, null],
      [
        { a: 'foo', b: 'z' },
        { a: 'foo', b: 'z' },
      ],
    ],
  },
  {
    rule: '8: keepequal, two absent labels are equal',
    yaml: rules('{action: keepequal, source_labels: [a], target_label: b}'),
    cases: [
      [
        { a: '1', b: '1' },
        { a: '1', b: '1' },
      ],
      [{ a: '1', b: '2' }, null],
      [{ a: '1' }, null],
      [{ b: '1' }, null],
      [{ c: '1' }, { c: '1' }],
      [{ a: '', c: '1' }, { c: '1' }],
    ],
  },
  {
    rule: '8: dropequal, two absent labels are equal',
    yaml: rules('{action: dropequal, source_labels: [a], target_label: b}'),
    cases: [
      [{ a: '1', b: '1' }, null],
      [
        { a: '1', b: '2' },
        { a: '1', b: '2' },
      ],
      [{ a: '1' }, { a: '1' }],
      [{ b: '1' }, { b: '1' }],
      [{ c: '1' }, null],
    ],
  },
  {
    rule: '5: hashmod',
    yaml: rules(
      '{action: hashmod, source_labels: [c], target_label: d, modulus: 1000}',
      '{action: hashmod, source_labels: [e, f], target_label: g, modulus: 18446744073709551615}',
      '{action: hashmod, source_labels: [e, f], target_label: h, modulus: 9007199254740993}',
      '{action: hashmod, source_labels: [e], target_label: i, modulus: 0x10}',
      '{action: hashmod, source_labels: [e], target_label: j, modulus: 010}',
      '{action: hashmod, source_labels: [e], target_label: k, modulus: 1}',
      '{action: hashmod, source_labels: [c], target_label: l, modulus: 1_000}',
      '{action: labelkeep, regex: "[d-l]|c"}',
      '{action: labeldrop, regex: "[ef]"}',
    ),
    cases: hashCases(),
  },
  {
    rule: 'labeldrop',
    yaml: rules('{action: labeldrop, regex: b.*}'),
    cases: [
      [{ a: 'foo', b1: 'bar', b2: 'baz' }, { a: 'foo' }],
      [{ b: '1' }, null],
      [{ ab: '1' }, { ab: '1' }],
    ],
  },
  {
    rule: 'labelkeep, the name of the metric too where it is not named',
    yaml: rules('{action: labelkeep, regex: b.*}'),
    cases: [
      [
        { a: 'foo', b1: 'bar', b2: 'baz' },
        { b1: 'bar', b2: 'baz' },
      ],
      [{ __name__: 'up', b: '1' }, { b: '1' }],
    ],
  },
  {
    rule: '11: a series without any label is dropped',
    yaml: rules(
      '{action: labelkeep, regex: b}',
      '{source_labels: [b], target_label: b, regex: x, replacement: ""}',
    ),
    cases: [
      [{ __name__: 'up', a: '1' }, null],
      [{ b: 'x' }, null],
      [{ b: '' }, null],
      [{}, null],
      [{ b: 'y' }, { b: 'y' }],
    ],
  },
  {
    rule: '7: labelmap takes names as they come, and the last one wins',
    yaml: rules('{action: labelmap, regex: "meta_(?:x_|y_)?(.*)", replacement: "${1}"}'),
    cases: [
      [
        { a: '1', meta_b: '2' },
        { a: '1', meta_b: '2', b: '2' },
      ],
      [
        { meta_a: '1', meta_x_a: '2', meta_y_a: '3' },
        { a: '3', meta_a: '1', meta_x_a: '2', meta_y_a: '3' },
      ],
      [
        { a: 'old', meta_a: 'new' },
        { a: 'new', meta_a: 'new' },
      ],
      [{ 'meta_my-ö 1': '1' }, { 'meta_my-ö 1': '1', 'my-ö 1': '1' }],
      [{ meta_1: 'digit' }, { meta_1: 'digit', 1: 'digit' }],
      [{ meta_: 'no name' }, { '': 'no name', meta_: 'no name' }],
      [{ meta_meta_a: '1' }, { meta_meta_a: '1', meta_a: '1' }],
    ],
  },
  {
    rule: '7: labels that a rule has set come after those as sent',
    yaml: rules(
      '{source_labels: [from], regex: (.+), target_label: m_1}',
      '{action: labelmap, regex: m_., replacement: m}',
    ),
    cases: [
      [
        { m_0: 'a', m_2: 'b' },
        { m_0: 'a', m_2: 'b', m: 'b' },
      ],
      [
        { from: 'set', m_2: 'sent' },
        { from: 'set', m_1: 'set', m_2: 'sent', m: 'set' },
      ],
    ],
  },
  {
    rule: '6: lowercase and uppercase go rune by rune',
    yaml: rules(
      '{action: lowercase, source_labels: [a], target_label: l}',
      '{action: uppercase, source_labels: [a], target_label: u}',
    ),
    cases: caseCases(),
  },
];

/** Worked out with Python's hashlib. */
function hashCases(): Group['cases'] {
  const rows: [c: string, e: string, f: string, outcome: Labels][] = [
    [
      'baz',
      'a',
      'b',
      { d: '976', g: '2420134994223480074', h: '6205593952893950', i: '1', j: '1' },
    ],
    ['foo\nbar', 'ab', '', { d: '734', g: '7177199159298898660', h: '7468552525068232', i: '0' }],
    ['😀', 'ö', '', { d: '966', g: '8754791327140475816', h: '8800850786971613', i: '9', j: '1' }],
  ];
  return rows.map(([c, e, f, outcome]) => [
    { c, e, f },
    { c, j: '0', k: '0', l: outcome['d'] ?? '', ...outcome },
  ]);
}

function caseCases(): Group['cases'] {
  const pairs: [string, string, string][] = [
    ['bAr123Foo', 'bar123foo', 'BAR123FOO'],
    ['Straße', 'straße', 'STRAßE'],
    ['İI', 'ii', 'İI'],
    ['ıi', 'ıi', 'II'],
    ['ΟΔΟΣ', 'οδοσ', 'ΟΔΟΣ'],
    ['ς', 'ς', 'Σ'],
    ['ﬁŉǰ', 'ﬁŉǰ', 'ﬁŉǰ'],
    ['ǅ', 'ǆ', 'Ǆ'],
    ['ᾳᾀᾈ', 'ᾳᾀᾀ', 'ᾼᾈᾈ'],
    ['\u212a', 'k', '\u212a'],
    ['ſ', 'ſ', 'S'],
    ['𐐀𐐨', '𐐨𐐨', '𐐀𐐀'],
    ['ẞ', 'ß', 'ẞ'],
    ['😀\n', '😀\n', '😀\n'],
  ];
  return pairs.map(([a, l, u]) => [{ a }, { a, l, u }]);
}
