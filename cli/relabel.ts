import { once } from 'node:events';
import { loadFilterConfig } from '../agent/config.ts';
import { createFilter, type Filter, type FilterStep } from '../agent/filter/filter.ts';
import { type Command, single } from './command.ts';
import { labelsJson, linesOf, readLabelsLine } from './label-lines.ts';
import { reportConfigErrors } from './report.ts';

export const relabelCommand: Command = {
  name: 'relabel',
  usage: 'relabel --config.file=F [--explain]',
  meaning:
    'Reads {"labels":{...}} lines and prints what the filter of an agent makes of each: ' +
    '{"labels":{...}} or {"dropped":true}.',
  flags: [
    { name: 'config.file', value: 'F', meaning: "an agent's YAML file; it needs no hub here" },
    { name: 'explain', meaning: 'adds what each rule did' },
  ],
  operandsMax: 0,
  async run(flags) {
    const path = single(flags, 'config.file') ?? '';
    // Not of this host: the file may be meant for another, and its agent's name does not matter.
    const host = { hostName: 'relabel', inKubernetes: false };
    const loaded = loadFilterConfig(path, host);
    if (loaded.kind === 'errors') return reportConfigErrors(loaded.lines);
    return await relabelStream(createFilter(loaded.value), flags['explain'] === true);
  },
};

async function relabelStream(filter: Filter, explains: boolean): Promise<number> {
  let lineNumber = 0;
  const fail = (problem: string): number => {
    process.stderr.write(`line ${lineNumber}: ${problem}\n`);
    return 1;
  };
  try {
    for await (const lines of linesOf(process.stdin)) {
      let output = '';
      for (const line of lines) {
        lineNumber++;
        const answer = answerTo(line, filter, explains);
        if ('problem' in answer) {
          process.stdout.write(output);
          return fail(answer.problem);
        }
        output += answer.line;
      }
      if (!process.stdout.write(output)) await once(process.stdout, 'drain');
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    lineNumber++;
    return fail(error.message);
  }
  return 0;
}

function answerTo(
  line: Buffer,
  filter: Filter,
  explains: boolean,
): { line: string } | { problem: string } {
  const labels = readLabelsLine(line);
  if (typeof labels === 'string') return { problem: labels };
  const steps: FilterStep[] = [];
  const verdict = filter.apply(labels, explains ? (step) => steps.push(step) : undefined);
  const outcome =
    verdict.kind === 'kept' ? `"labels":${labelsJson(verdict.labels)}` : '"dropped":true';
  const explanation = explains ? `,"explain":${JSON.stringify(steps)}` : '';
  return { line: `{${outcome}${explanation}}\n` };
}
