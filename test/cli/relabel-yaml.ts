import type { Group } from './relabel-cases.ts';
import { rules } from './relabel-cases.ts';

/** Rules 9 and 10, and the lists: what the file means. */
export const FILES: Group[] = [
  {
    rule: '9: an empty text or null is set, and is not the default',
    yaml: rules(
      '{source_labels: [a, b], separator: "", target_label: c}',
      '{source_labels: [a, b], separator: , target_label: d}',
      '{source_labels: [a, b], separator: null, target_label: e}',
      '{source_labels: [a, b], separator: ~, target_label: f}',
      '{source_labels: [g], regex: "", target_label: h, replacement: empty}',
      '{source_labels: [g], regex: null, target_label: i, replacement: empty}',
      '{source_labels: [a], target_label: j, replacement: ""}',
      '{source_labels: [a], target_label: k, replacement: null}',
      '{source_labels: null, target_label: l, replacement: added}',
      '{source_labels: [], target_label: m, replacement: added}',
    ),
    cases: [
      [
        { a: '1', b: '2', j: 'x', k: 'x' },
        {
          a: '1',
          b: '2',
          c: '12',
          d: '12',
          e: '12',
          f: '12',
          h: 'empty',
          i: 'empty',
          l: 'added',
          m: 'added',
        },
      ],
      [{ g: 'full' }, { g: 'full', l: 'added', m: 'added' }],
    ],
  },
  {
    rule: '9: texts are as they are written',
    yaml: `write_relabel_configs:
  - {target_label: a, replacement: 010}
  - {target_label: b, replacement: 1.50}
  - {target_label: c, replacement: true}
  - {target_label: d, replacement: 0x1F}
  - {target_label: e, replacement: 2026-01-02}
  - {target_label: f, replacement: "null"}
  - {target_label: g, replacement: 1_000}
  - {target_label: h, replacement: !!str 010}
  - target_label: i
    replacement: |-
      two
      lines
  - {target_label: j, replacement: &text 08}
  - {target_label: k, replacement: *text}
  - {target_label: 007, replacement: name}
  - {source_labels: [007], regex: name, target_label: l, replacement: 'it''s'}
  - {source_labels: [m], regex: 010, target_label: n, replacement: "\\u00f6\\t"}
  - {source_labels: [m], separator: 1, regex: 010, target_label: "on", replacement: no}
`,
    cases: [
      [
        { m: '010' },
        {
          '007': 'name',
          a: '010',
          b: '1.50',
          c: 'true',
          d: '0x1F',
          e: '2026-01-02',
          f: 'null',
          g: '1_000',
          h: '010',
          i: 'two\nlines',
          j: '08',
          k: '08',
          l: "it's",
          m: '010',
          n: 'ö\t',
          on: 'no',
        },
      ],
    ],
  },
  {
    rule: '9: actions in capitals, and keys that are set to what they are by default',
    yaml: rules(
      '{action: REPLACE, source_labels: [a], target_label: b}',
      '{action: LabelDrop, regex: c, separator: ;, replacement: $1, target_label: "", modulus: 0}',
      '{action: "KeepEqual", source_labels: [a], target_label: b, separator: ;}',
      '{action: uppercase, source_labels: [a], target_label: d, replacement: $1, regex: ignored}',
      '{action: keep, source_labels: [a], target_label: ignored, modulus: 5, replacement: ignored}',
    ),
    cases: [
      [
        { a: 'x', c: '1' },
        { a: 'x', b: 'x', d: 'X' },
      ],
    ],
  },
  {
    rule: '10: external labels come first and override nothing',
    yaml: `external_labels: {zone: 010, b: ext, empty: "", none: null, "my.label": ö, __proto__: p}
${rules('{source_labels: [zone, b], target_label: seen}')}`,
    cases: [
      [
        {},
        Object.fromEntries([
          ['__proto__', 'p'],
          ['b', 'ext'],
          ['my.label', 'ö'],
          ['seen', '010;ext'],
          ['zone', '010'],
        ]),
      ],
      [
        { b: 'own', zone: '' },
        Object.fromEntries([
          ['__proto__', 'p'],
          ['b', 'own'],
          ['my.label', 'ö'],
          ['seen', '010;own'],
          ['zone', '010'],
        ]),
      ],
    ],
  },
  {
    rule: 'keep_metrics takes names, globs and selectors, after the rules',
    yaml: `keep_metrics: [up, node_*, 'http_?xx', 'cpu{mode="idle"}', '{__name__=~"go_.*",job!="x"}',
  '{"my.metric", "my label"=~"a|b"}', "true", true, 'esc{a="\\"\\x41\\u00f6"}', http.server.*]
${rules('{source_labels: [rename], regex: (.+), target_label: __name__}')}`,
    cases: [
      [{ __name__: 'up' }, { __name__: 'up' }],
      [{ __name__: 'upp' }, null],
      [{ __name__: 'node_' }, { __name__: 'node_' }],
      [{ __name__: 'a_node_x' }, null],
      [{ __name__: 'http_5xx' }, { __name__: 'http_5xx' }],
      [{ __name__: 'http_55xx' }, null],
      [
        { __name__: 'cpu', mode: 'idle' },
        { __name__: 'cpu', mode: 'idle' },
      ],
      [{ __name__: 'cpu', mode: 'user' }, null],
      [{ __name__: 'go_x' }, { __name__: 'go_x' }],
      [{ __name__: 'go_x', job: 'x' }, null],
      [
        { __name__: 'my.metric', 'my label': 'b' },
        { __name__: 'my.metric', 'my label': 'b' },
      ],
      [{ __name__: 'my.metric', 'my label': 'ab' }, null],
      [{ __name__: 'true' }, { __name__: 'true' }],
      [
        { __name__: 'esc', a: '"Aö' },
        { __name__: 'esc', a: '"Aö' },
      ],
      [{ __name__: 'http.server.x' }, { __name__: 'http.server.x' }],
      [{ __name__: 'httpxserver.x' }, null],
      [{ a: '1' }, null],
      [
        { __name__: 'x', rename: 'up' },
        { __name__: 'up', rename: 'up' },
      ],
    ],
  },
  {
    rule: 'drop_metrics and drop_labels come last',
    yaml: `drop_metrics: [go_*, '{job="noisy"}', exact]
drop_labels: [id, 'tmp_*', '*x?']`,
    cases: [
      [{ __name__: 'go_gc' }, null],
      [{ __name__: 'up', job: 'noisy' }, null],
      [{ __name__: 'exact' }, null],
      [
        { __name__: 'exact2', id: '1', tmp_a: '2', ids: '3' },
        { __name__: 'exact2', ids: '3' },
      ],
      [
        { __name__: 'up', axb: '1', x: '2' },
        { __name__: 'up', x: '2' },
      ],
      [{ id: '1' }, null],
    ],
  },
  {
    rule: 'drop_labels never takes the name',
    yaml: "drop_labels: ['*']",
    cases: [
      [{ __name__: 'up', a: '1' }, { __name__: 'up' }],
      [{ a: '1' }, null],
    ],
  },
  {
    rule: 'without a filter labels pass, sorted by bytes and without empty ones',
    yaml: 'agent_id: other',
    cases: [
      [
        { '😀': '1', '\uffff': '2', z: '3', 10: '4', 2: '5', a: '' },
        { 10: '4', 2: '5', z: '3', '\uffff': '2', '😀': '1' },
      ],
      [
        { a: '\ud800\udc00 \udfff', 'ö\udcff': '\0' },
        { a: '\ud800\udc00 \udfff', 'ö\udcff': '\0' },
      ],
    ],
  },
];

/** A rule that is refused, the key that is named, and a part of what is expected. */
export const BAD_RULES: [rule: string, key: string, expected: string][] = [
  ['{}', 'target_label', 'a label name, which replace needs'],
  ['{action: hashmod, target_label: a}', 'modulus', 'a whole number without quotes'],
  ['{action: hashmod, target_label: a, modulus: 0}', 'modulus', 'a whole number'],
  ['{action: hashmod, target_label: a, modulus: "8"}', 'modulus', 'without quotes'],
  ['{action: hashmod, target_label: a, modulus: -8}', 'modulus', 'a whole number'],
  ['{action: hashmod, target_label: a, modulus: 18446744073709551616}', 'modulus', '1 to 184467'],
  ['{action: hashmod, modulus: 8}', 'target_label', 'which hashmod needs'],
  ['{action: lowercase}', 'target_label', 'which lowercase needs'],
  ['{action: uppercase, target_label: ""}', 'target_label', 'which uppercase needs'],
  ['{action: keepequal}', 'target_label', 'which keepequal needs'],
  ['{action: dropequal, target_label: null}', 'target_label', 'which dropequal needs'],
  ['{action: keepequal, target_label: a, regex: x}', 'regex', 'takes no regex'],
  ['{action: keepequal, target_label: a, regex: (.*)}', 'regex', 'takes no regex'],
  ['{action: dropequal, target_label: a, separator: x}', 'separator', 'takes no separator'],
  ['{action: dropequal, target_label: a, separator: ""}', 'separator', 'takes no separator'],
  ['{action: keepequal, target_label: a, modulus: 1}', 'modulus', 'takes no modulus'],
  ['{action: keepequal, target_label: a, replacement: x}', 'replacement', 'takes no replacement'],
  ['{action: labelmap, source_labels: [a]}', 'source_labels', 'labelmap takes no source_labels'],
  ['{action: labelmap, target_label: a}', 'target_label', 'labelmap takes no target_label'],
  ['{action: labelmap, separator: x}', 'separator', 'labelmap takes no separator'],
  ['{action: labelmap, replacement: ""}', 'replacement', 'which labelmap needs'],
  ['{action: labeldrop, source_labels: [a]}', 'source_labels', 'takes no source_labels'],
  ['{action: labeldrop, source_labels: []}', 'source_labels', 'takes no source_labels'],
  ['{action: labelkeep, target_label: a}', 'target_label', 'takes no target_label'],
  ['{action: labelkeep, replacement: x}', 'replacement', 'takes no replacement'],
  ['{action: labelkeep, modulus: 3}', 'modulus', 'takes no modulus'],
  ['{action: uppercase, target_label: a, replacement: x}', 'replacement', 'takes no replacement'],
  ['{action: labelfold}', 'action', 'one of replace, keep'],
  ['{action: ""}', 'action', 'one of replace, keep'],
  ['{action: null}', 'action', 'one of replace, keep'],
  ['{action: [drop]}', 'action', 'one of replace, keep'],
  ['{action: drop, source_labels: a}', 'source_labels', 'a list'],
  ['{action: drop, source_labels: [a, ""]}', 'source_labels[1]', 'a label name'],
  ['{action: drop, source_labels: [a, null]}', 'source_labels[1]', 'a label name'],
  ['{action: drop, separator: {a: b}}', 'separator', 'any text'],
  ['{action: drop, replacement: "\\ud800"}', 'replacement', 'any text'],
];
