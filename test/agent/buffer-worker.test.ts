import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SCHEMA_VERSION } from '../../agent/buffer/schema.ts';
import { type AppendOutcome, BufferWorker } from '../../agent/buffer-worker.ts';
import { agentConfigSchema } from '../../agent/config.ts';
import { checkConfig } from '../../base/config-file.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { openBuffer, openDatabase, samplesOf, seriesEntries, T0 } from './buffer-fixture.ts';

const STOP_MS = 1000;
const ANSWER_MS_MAX = 5000;

let workspace: Workspace;
let dataDir: string;
/** What the worker has ended with. */
let failure: Error | undefined;

beforeEach(() => {
  workspace = new Workspace('buffer-worker');
  dataDir = workspace.subfolder('data');
  failure = undefined;
});
afterEach(() => workspace.close());

/** A worker whose hub never answers. */
function startWorker(buffer: Record<string, unknown> = {}): Promise<BufferWorker> {
  const file = {
    agent_id: 'sg',
    listen: '127.0.0.1:0',
    data_dir: dataDir,
    hub: { urls: ['http://127.0.0.1:1'] },
    log_level: 'fatal',
    buffer,
  };
  const schema = agentConfigSchema('.', { hostName: 'sg', inKubernetes: false });
  const loaded = checkConfig(file, schema);
  if (loaded.kind === 'errors') throw new Error(loaded.lines.join('\n'));
  const onFailure = (error: Error): void => {
    failure = error;
  };
  return BufferWorker.start(loaded.value, { onEntry() {}, onReset() {}, onFailure });
}

/** A closed buffer with one sample. */
function fill(): void {
  const { buffer } = openBuffer(dataDir, 'one');
  const newEntries = { firstId: 0, entries: seriesEntries('up') };
  buffer.append([{ tenant: '', columns: samplesOf(0, T0), newEntries }]);
  buffer.close();
}

test('a damaged buffer on a full disk waits for room from the start, and puts senders off', async () => {
  fill();
  const database = openSync(join(dataDir, 'buffer.db'), 'r+');
  writeSync(database, 'no database any more');
  closeSync(database);

  const worker = await startWorker({ min_free_disk: '4000TiB' });
  let outcome: AppendOutcome | undefined;
  void worker.append({ tenant: '', columns: samplesOf(0, T0) }).then((said) => {
    outcome = said;
  });
  await until('an answer', ANSWER_MS_MAX, () => (outcome ?? failure) !== undefined);
  expect([outcome, failure]).toMatchObject([{ reason: 'recovering' }, undefined]);
  await worker.stop(STOP_MS);

  const { buffer } = openBuffer(dataDir, 'later');
  expect([buffer.backlog.get(''), buffer.losses.samples.damaged]).toEqual([1, 0]);
  buffer.close();
});

test('a start that fails while the buffer is salvaged ends the agent and says why', async () => {
  fill();
  const database = openDatabase(dataDir);
  database.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
  database.close();
  writeFileSync(join(dataDir, 'salvaged-20260101T000000Z.db.part'), '');

  await startWorker();
  await until('the failure', ANSWER_MS_MAX, () => failure !== undefined);
  expect(failure?.message).toContain('schema version');
});
