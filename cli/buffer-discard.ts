import { request as send } from 'undici';
import { z } from 'zod';
import { isDiskFault } from '../agent/buffer/disk-fault.ts';
import { OfflineBuffer } from '../agent/buffer/salvage/offline-buffer.ts';
import { NewerBufferError } from '../agent/buffer/schema.ts';
import type { Discarded, DiscardRequest } from '../agent/discard-request.ts';
import { discardOffline, inUse } from '../agent/offline-discard.ts';
import { tenantName, timeOrDash } from './buffer-names.ts';
import { verify } from './buffer-verify.ts';

const answerForm = z.object({
  samples: z.int(),
  oldest: z.number().nullable(),
  newest: z.number().nullable(),
  onTheirWay: z.int(),
  unreadable: z.int(),
  problem: z.string().optional(),
});
const refusalForm = z.object({ problem: z.string() });

/** Of a folder. @returns a text: why nothing was looked at */
export async function discardInFolder(
  folder: string,
  request: DiscardRequest,
): Promise<Discarded | string> {
  try {
    return refuse(folder) ?? (await discardOffline(folder, request));
  } catch (error) {
    if (!(error instanceof NewerBufferError) && !isDiskFault(error)) throw error;
    return `${folder}: ${error.message}`;
  }
}

/** Why a folder is left alone: a start of the agent would do more than to discard samples. */
function refuse(folder: string): string | undefined {
  const buffer = OfflineBuffer.open(folder);
  if (buffer === undefined) return `${folder}: no buffer.db here`;
  try {
    if (buffer.isInUse) return inUse(folder);
    const { problems } = verify(buffer);
    if (problems.length === 0) return undefined;
    return (
      `${folder}: the buffer is damaged, and nothing was changed: start the agent, which salvages ` +
      `it, and give its URL then (\`starferry buffer verify\` names ${problems.length} problems)`
    );
  } finally {
    buffer.close();
  }
}

/** Of a running agent. @returns a text: why nothing was looked at, as far as anybody knows */
export async function discardAt(url: string, request: DiscardRequest): Promise<Discarded | string> {
  const { tenant, fromMs, toMs, isParked, isDryRun } = request;
  const query = new URLSearchParams({
    tenant: tenantName(tenant),
    from: String(fromMs / 1000),
    to: String(toMs / 1000),
    parked: String(isParked),
  });
  const address = `${url.replace(/\/+$/, '')}/api/v1/buffer/discard?${query}`;
  try {
    // It takes as long as there are samples.
    const limits = { headersTimeout: 0, bodyTimeout: 0 };
    const { statusCode, body } = await send(address, {
      method: isDryRun ? 'GET' : 'POST',
      ...limits,
    });
    return readAnswer(url, statusCode, await body.text());
  } catch (error) {
    return `${url}: no answer: ${(error as Error).message}: is an agent listening there?`;
  }
}

function readAnswer(url: string, status: number, text: string): Discarded | string {
  const value = readJson(text);
  const answer = answerForm.safeParse(value);
  if (answer.success) {
    const { problem, ...rest } = answer.data;
    return problem === undefined ? rest : { ...rest, problem };
  }
  const refusal = refusalForm.safeParse(value);
  if (refusal.success) return `${url}: ${refusal.data.problem}`;
  return (
    `${url} answers ${status}, and not as an agent of this version does: give the address of its ` +
    'metrics (admin_listen, or listen while it is loopback)'
  );
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** For people: what was discarded, or would be, and what was not. */
export function discardLines(
  { samples, oldest, newest, onTheirWay, unreadable, problem }: Discarded,
  { tenant, isParked, isDryRun }: DiscardRequest,
): string[] {
  const kind = isParked ? 'parked samples' : 'samples';
  const range =
    oldest === null || newest === null
      ? ''
      : `, from ${timeOrDash(oldest)} to ${timeOrDash(newest)},`;
  const what = `${samples} ${kind} of tenant ${tenantName(tenant)}${range}`;
  const lines = [
    isDryRun ? `${what} would be discarded` : `${what} were discarded, which the agent counts`,
  ];
  if (onTheirWay > 0) {
    lines.push(
      `${onTheirWay} more wait for an answer of the hub, which may have them: they are left ` +
        'alone; try again once they are answered for',
    );
  }
  if (unreadable > 0) lines.push(`${unreadable} segments or packs cannot be read: see the log`);
  if (problem !== undefined) lines.push(`not all was looked at: ${problem}`);
  if (isDryRun) lines.push('nothing was changed: --yes discards them');
  return lines;
}
