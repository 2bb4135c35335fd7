import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { ACTIONS, type Labels, rules } from './relabel-cases.ts';
import { BAD_PATTERNS, PATTERNS } from './relabel-patterns.ts';
import { BAD_RULES, FILES } from './relabel-yaml.ts';
import type { Ended } from './run-starferry.ts';

const entry = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'starferry-relabel-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

/** Runs `starferry relabel` with the configuration, and the input from its standard input. */
function relabel(yaml: string, input: string | Buffer = '', flags: string[] = []): Promise<Ended> {
  const path = join(folder, `${files++}.yaml`);
  writeFileSync(path, yaml);
  const child = spawn(process.execPath, [entry, 'relabel', `--config.file=${path}`, ...flags]);
  const ended: Ended = { code: undefined, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (ended.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (ended.stderr += text));
  // A wrong configuration ends the process before it has read anything.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve) => {
    child.on('close', (code) => resolve({ ...ended, code }));
  });
}

function inputOf(series: readonly Labels[]): string {
  return series.map((labels) => `${JSON.stringify({ labels })}\n`).join('');
}

/** What each line says, null for a dropped series. */
function outcomes({ stdout, stderr, code }: Ended): (Labels | null)[] {
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const { labels, dropped } = JSON.parse(line) as { labels?: Labels; dropped?: true };
      expect(labels === undefined).toBe(dropped === true);
      return labels ?? null;
    });
}

describe.concurrent('starferry relabel', () => {
  test.each([...ACTIONS, ...FILES])('$rule', async ({ yaml, cases }) => {
    const ended = await relabel(yaml, inputOf(cases.map(([input]) => input)));
    expect(outcomes(ended)).toEqual(cases.map(([, output]) => output));
  });

  test('1 to 4: patterns and replacements are those of Go', async () => {
    const yaml = rules(
      ...PATTERNS.map(([regex, , replacement], index) =>
        JSON.stringify({
          source_labels: [`c${index}`],
          regex,
          target_label: `r${index}`,
          replacement,
        }),
      ),
    );
    const series = PATTERNS.map(([, value], index) => ({ [`c${index}`]: value, none: '1' }));
    const results = outcomes(await relabel(yaml, inputOf(series)));
    const found = PATTERNS.map(([regex, value, replacement], index) => {
      return [regex, value, replacement, results[index]?.[`r${index}`] ?? null];
    });
    expect(found).toEqual(PATTERNS);
  });
});

describe.concurrent('starferry relabel refuses', () => {
  test('2: patterns that are none in RE2, and names each', async () => {
    const entries = BAD_PATTERNS.map(([regex]) => JSON.stringify({ action: 'drop', regex }));
    const { code, stderr, stdout } = await relabel(rules(...entries));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    const lines = stderr.trimEnd().split('\n');
    expect(lines).toEqual(
      BAD_PATTERNS.map(([, reason], index) => {
        expect(lines[index]).toContain(`write_relabel_configs[${index}].regex: `);
        expect(lines[index]).toContain(': expected a regular expression in RE2 syntax; ');
        return expect.stringContaining(reason);
      }),
    );
  });

  test('9: rules that say too much, too little or the wrong thing, and names each', async () => {
    const { code, stderr } = await relabel(rules(...BAD_RULES.map(([rule]) => rule)));
    expect(code).toBe(1);
    const lines = stderr.trimEnd().split('\n');
    for (const [index, [rule, key, expected]] of BAD_RULES.entries()) {
      const start = `write_relabel_configs[${index}].${key}: `;
      const found = lines.filter((line) => line.startsWith(start));
      expect([rule, found]).toEqual([rule, [expect.stringContaining(`: expected `)]]);
      expect(found[0]).toContain(expected);
    }
    expect(lines).toHaveLength(BAD_RULES.length);
  });

  test('unknown keys, rules that are none and what is wrong elsewhere in the file', async () => {
    const yaml = `${rules('{action: drop, regexp: x}', '', 'drop', '{<<: {action: drop}}')}
external_labels: {__name__: x, "": y, list: [1]}
keep_metrics: ["rate(x[5m])", "{}", null, '{a=~"("}', "a b"]
keep_metrics_file: nowhere
drop_metrics: x
drop_labels: [__name__, ""]
hub: {urls: [ftp://x]}
link: {max_bytes_per_second: 1}
`;
    const { code, stderr } = await relabel(yaml);
    expect(code).toBe(1);
    expect(
      stderr
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/: .*/, ''))
        .sort(),
    ).toEqual(
      [
        'write_relabel_configs[0].regexp',
        'write_relabel_configs[1]',
        'write_relabel_configs[2]',
        'write_relabel_configs[3].<<',
        'write_relabel_configs[3].target_label',
        'external_labels.__name__',
        'external_labels.',
        'external_labels.list',
        ...[0, 1, 2, 3, 4].map((index) => `keep_metrics[${index}]`),
        'keep_metrics_file',
        'drop_metrics',
        'drop_labels[0]',
        'drop_labels[1]',
        'hub.urls[0]',
        'link.max_bytes_per_second',
      ].sort(),
    );
  });

  test.each([
    ['{action: drop, regex: a, regex: b}', 'Map keys must be unique'],
    ['{action: drop, regex: *unknown}', 'Unresolved alias'],
    ['&loop {action: drop, source_labels: [*loop]}', 'nest too deeply'],
  ])('%s', async (rule, reason) => {
    const { code, stderr } = await relabel(rules(rule));
    expect(code).toBe(1);
    expect(stderr).toContain(reason);
  });
});

describe.concurrent('the lines of starferry relabel', () => {
  const drops = rules('{action: drop, source_labels: [a], regex: x}');

  test.each([
    ['no JSON', '{"labels":'],
    ['an array', '{"labels":["a"]}'],
    ['no labels', '{"label":{}}'],
    ['a number', '{"labels":{"a":1}}'],
    ['an empty line', ''],
  ])('%s ends it with the number of the line, after what precedes', async (_, line) => {
    const ended = await relabel(drops, `{"labels":{"a":"1"}}\n{"labels":{"a":"x"}}\n${line}\n{}\n`);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toBe('{"labels":{"a":"1"}}\n{"dropped":true}\n');
    expect(ended.stderr).toMatch(/^line 3: /);
  });

  test('a line that does not end is refused before it fills the memory', async () => {
    const ended = await relabel(drops, `{"labels":{"a":"1"}}\n${' '.repeat(3_000_000)}`);
    expect(ended).toMatchObject({ code: 1, stdout: '{"labels":{"a":"1"}}\n' });
    expect(ended.stderr).toBe('line 2: a line is longer than 1MiB\n');
  });

  test('the last one may lack its newline, and bytes that are no UTF-8 survive', async () => {
    const bytes = Buffer.concat([
      Buffer.from('{"labels":{"a":"\u2028\\u2028ö'),
      Buffer.from([0xff, 0xed, 0xa0, 0x80]),
      Buffer.from('"}}'),
    ]);
    const { stdout } = await relabel(drops, bytes);
    expect(stdout).toBe('{"labels":{"a":"\u2028\u2028ö\\udcff\\udced\\udca0\\udc80"}}\n');
  });

  test('come out in order, however many', async () => {
    const series = Array.from({ length: 20_000 }, (_, i) => ({ a: i % 3 === 0 ? 'x' : `${i}` }));
    const found = outcomes(await relabel(drops, inputOf(series)));
    expect(found).toEqual(series.map((labels) => (labels.a === 'x' ? null : labels)));
  });

  test('say with --explain what each rule did', async () => {
    const yaml = `external_labels: {zone: z}
${rules('{source_labels: [a], regex: (.+), target_label: b}', '{action: labeldrop, regex: a}')}
keep_metrics: [up]`;
    const input = inputOf([{ __name__: 'up', a: '1' }, { __name__: 'down' }, {}]);
    const { stdout } = await relabel(yaml, input, ['--explain']);
    const [kept, dropped] = stdout.split('\n').map((line) => JSON.parse(line || 'null'));
    expect(kept).toEqual({
      labels: { __name__: 'up', b: '1', zone: 'z' },
      explain: [
        { rule: 'external_labels', action: 'add', result: 'zone="z"' },
        { rule: 'write_relabel_configs[0]', action: 'replace', result: 'b="1"' },
        { rule: 'write_relabel_configs[1]', action: 'labeldrop', result: 'a removed' },
        { rule: 'keep_metrics', action: 'keep', result: 'unchanged' },
      ],
    });
    expect(dropped).toEqual({
      dropped: true,
      explain: [
        { rule: 'external_labels', action: 'add', result: 'zone="z"' },
        { rule: 'write_relabel_configs[0]', action: 'replace', result: 'unchanged' },
        { rule: 'write_relabel_configs[1]', action: 'labeldrop', result: 'unchanged' },
        { rule: 'keep_metrics', action: 'keep', result: 'dropped' },
      ],
    });
  });
});
