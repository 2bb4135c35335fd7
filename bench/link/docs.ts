import { readFileSync, writeFileSync } from 'node:fs';
import { SCENARIOS, type ScenarioName } from './cases.ts';
import { describeSettings, LINKS } from './links.ts';
import type { Row } from './row.ts';
import { crossingTable, goalsTable, remarks, returnsTable, type Table } from './tables.ts';

const BEGIN = '<!-- Figures of `npm run bench -- link`, written by its --docs. -->';
const END = '<!-- End of the figures of link. -->';

/** Writes the figures into the page, between its two marks. @throws Error when it lacks them */
export function writeDocs(page: URL, rows: readonly Row[]): void {
  const text = readFileSync(page, 'utf8');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${page.pathname} lacks the marks of the figures`);
  const section = `${BEGIN}\n\n${renderFigures(rows)}\n\n`;
  writeFileSync(page, text.slice(0, from) + section + text.slice(to));
}

/** All figures in Markdown, with the links, the machine and the versions. */
export function renderFigures(rows: readonly Row[]): string {
  const names = Object.keys(SCENARIOS) as ScenarioName[];
  const scenarios = names.map((name) => {
    return { name, of: rows.filter(({ scenario }) => scenario === name) };
  });
  return [
    markdown([['link', 'is like', 'settings'], ...linkRows()]),
    ...scenarios.filter(({ of }) => of.length > 0).map(({ name, of }) => renderScenario(name, of)),
    `**Goals**\n\n${markdown(goalsTable(rows))}`,
    bullets(remarks(rows)),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function linkRows(): string[][] {
  return LINKS.map(({ name, like, settings }) => [name, like, describeSettings(settings)]);
}

function renderScenario(name: ScenarioName, rows: readonly Row[]): string {
  const returns = returnsTable(rows);
  const others = name === 'table' ? [] : rows.map(({ link, like }) => `${link}: ${like}`);
  return [
    `**${name}**: ${SCENARIOS[name]}.`,
    bullets(others),
    bullets(circumstances(rows)),
    markdown(crossingTable(rows)),
    returns.length > 1 ? markdown(returns) : '',
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** Machine, length and versions, once each. */
function circumstances(rows: readonly Row[]): string[] {
  const lines = rows.map((row) => {
    const load = `${row.series} series for ${row.seconds} s, seed ${row.seed}`;
    return `${row.machine}; ${load}, ${row.parallel} at a time`;
  });
  const versions = new Set(rows.map(({ title, version }) => `${title} ${version}`));
  return [...new Set(lines), [...versions].join('; ')];
}

function markdown([heads = [], ...rows]: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}

function bullets(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join('\n');
}
