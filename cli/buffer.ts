import { existsSync } from 'node:fs';
import type { OfflineBuffer } from '../agent/buffer/salvage/offline-buffer.ts';
import { parseDiscardRequest } from '../agent/discard-request.ts';
import { type ExportOptions, parseExportFlags } from './buffer-export-flags.ts';
import { type Command, several, single } from './command.ts';
import type { Flags } from './flags.ts';

/** Commands for what is in a buffer; all but `discard` change no byte. */
export const bufferCommands: readonly Command[] = [
  {
    name: 'buffer inspect',
    usage: 'buffer inspect DIR',
    meaning:
      'Shows what a buffer holds: DIR is a data_dir, in use or not, or a damaged-… folder in it.',
    flags: [],
    operandsMax: 1,
    async run(_flags, [folder = '']) {
      // Loaded late, as everywhere: `--help` needs no native modules.
      const { inspect } = await import('./buffer-inspect.ts');
      return withBuffer(folder, (buffer) => {
        process.stdout.write(inspect(buffer));
        return 0;
      });
    },
  },
  {
    name: 'buffer verify',
    usage: 'buffer verify DIR',
    meaning: 'Checks every row of a buffer; names each problem and exits with 1.',
    flags: [],
    operandsMax: 1,
    async run(_flags, [folder = '']) {
      const { verify } = await import('./buffer-verify.ts');
      return withBuffer(folder, (buffer) => {
        const { problems, summary } = verify(buffer);
        process.stderr.write(problems.map((line) => `${line}\n`).join(''));
        process.stdout.write(`${summary}\n`);
        return problems.length === 0 ? 0 : 1;
      });
    },
  },
  {
    name: 'buffer export',
    usage: 'buffer export DIR [flags]',
    meaning: 'Writes the samples of a buffer in formats that other programs read.',
    flags: [
      {
        name: 'format',
        value: 'FORMAT',
        meaning: 'remote-write: bodies of remote write 1.0 (default); openmetrics: text',
      },
      {
        name: 'out',
        value: 'PATH',
        meaning: 'folder to create; - for standard output (openmetrics, one tenant)',
      },
      {
        name: 'tenant',
        value: 'NAME',
        meaning: 'only this tenant; repeatable; @default: the one without a name',
        many: true,
      },
      {
        name: 'from',
        value: 'TIME',
        meaning: 'only samples from then on, RFC 3339 or Unix seconds',
      },
      { name: 'to', value: 'TIME', meaning: 'only samples up to then' },
    ],
    operandsMax: 1,
    async run(flags, [folder = '']) {
      const parsed = parseExportFlags({
        format: single(flags, 'format'),
        out: single(flags, 'out'),
        tenants: several(flags, 'tenant'),
        from: single(flags, 'from'),
        to: single(flags, 'to'),
      });
      if (typeof parsed === 'string') return fail(parsed, 2);
      return runExport(folder, parsed);
    },
  },
  {
    name: 'buffer discard',
    usage: 'buffer discard DIR|URL --tenant=NAME --from=TIME --to=TIME [flags]',
    meaning:
      'Counts the samples of a tenant and time range that wait in a buffer, and discards them with ' +
      '--yes: of a stopped agent in its data_dir, of a running one over its admin address.',
    flags: [
      { name: 'tenant', value: 'NAME', meaning: 'whose samples; @default: the one without a name' },
      { name: 'from', value: 'TIME', meaning: 'samples from then on, RFC 3339 or Unix seconds' },
      { name: 'to', value: 'TIME', meaning: 'samples up to then' },
      { name: 'parked', meaning: 'those that are parked, instead of those that wait to be sent' },
      { name: 'yes', meaning: 'discard them; without it they are only counted' },
    ],
    operandsMax: 1,
    run: (flags, [where = '']) => runDiscard(where, flags),
  },
];

async function runDiscard(where: string, flags: Flags): Promise<number> {
  const [tenant, from, to] = ['tenant', 'from', 'to'].map((name) => single(flags, name));
  const kind = { isParked: flags['parked'] === true, isDryRun: flags['yes'] !== true };
  const request = parseDiscardRequest({ tenant, from, to }, kind, (name) => `--${name}`);
  if (typeof request === 'string') return fail(request, 2);
  const { discardAt, discardInFolder, discardLines } = await import('./buffer-discard.ts');
  const isUrl = /^https?:\/\//i.test(where);
  const discarded = await (isUrl ? discardAt(where, request) : discardInFolder(where, request));
  if (typeof discarded === 'string') return fail(discarded, 1);
  process.stdout.write(
    discardLines(discarded, request)
      .map((line) => `${line}\n`)
      .join(''),
  );
  const { onTheirWay, unreadable, problem } = discarded;
  const isLeft = !request.isDryRun && onTheirWay + unreadable > 0;
  return problem !== undefined || isLeft ? 1 : 0;
}

async function runExport(folder: string, options: ExportOptions): Promise<number> {
  if (options.out !== '-' && existsSync(options.out)) {
    return fail(`${options.out} exists: name a folder that does not`, 1);
  }
  const { exportBuffer } = await import('./buffer-export.ts');
  return withBuffer(folder, (buffer) => {
    try {
      const { lines, error } = exportBuffer(buffer, options);
      process.stderr.write(lines.map((line) => `${line}\n`).join(''));
      return error === undefined ? 0 : fail(error, 1);
    } catch (error) {
      // Whoever reads the text has seen enough of it.
      if ((error as NodeJS.ErrnoException).code === 'EPIPE') return 1;
      throw error;
    }
  });
}

async function withBuffer(
  folder: string,
  work: (buffer: OfflineBuffer) => number,
): Promise<number> {
  const { OfflineBuffer } = await import('../agent/buffer/salvage/offline-buffer.ts');
  const { NewerBufferError } = await import('../agent/buffer/schema.ts');
  let buffer: OfflineBuffer | undefined;
  try {
    buffer = OfflineBuffer.open(folder);
  } catch (error) {
    if (error instanceof NewerBufferError) return fail(`${folder}: ${error.message}`, 1);
    throw error;
  }
  if (buffer === undefined) return fail(`${folder}: no buffer.db here`, 1);
  try {
    return work(buffer);
  } finally {
    buffer.close();
  }
}

function fail(message: string, code: number): number {
  process.stderr.write(`${message}\n`);
  return code;
}
