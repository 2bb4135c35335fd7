import { systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { DURATION_FORM, parseDuration } from '../base/units.ts';
import { version } from '../base/version.ts';
import { type HubConfig, loadHubConfig } from '../hub/config.ts';
import type { RefusedFilter, RefusedStore } from '../hub/store/refused-store.ts';
import { type Command, single } from './command.ts';
import { configFlags } from './config-flags.ts';
import type { Flags } from './flags.ts';
import { overridesFrom } from './host-settings.ts';
import { emptySums, groupLines, recordLines, replayLine, replaySums, sum } from './refused-text.ts';
import { reportConfigErrors, reportUsage } from './report.ts';

const HUB_FLAGS = ['config.file', 'data-dir'];

export const refusedCommand: Command = {
  name: 'refused',
  usage: 'refused list|replay --config.file=F [flags]',
  meaning: 'Shows what the destination refused and the hub has kept, or sends it again.',
  flags: [
    ...configFlags('hub').filter(({ name }) => HUB_FLAGS.includes(name)),
    { name: 'agent', value: 'ID', meaning: 'only what came from this agent' },
    { name: 'tenant', value: 'T', meaning: 'only what went to this tenant' },
    { name: 'reason', value: 'R', meaning: 'only this reason, as in the metrics' },
    { name: 'since', value: '2h', meaning: 'only what was recorded in the last so much time' },
    { name: 'id', value: 'N', meaning: 'only the record with this number' },
    { name: 'records', meaning: 'list: every record, instead of groups of equal refusals' },
    { name: 'json', meaning: 'list: one JSON object a line' },
    { name: 'url', value: 'URL', meaning: 'replay: send there, instead of to destination.url' },
    { name: 'keep', meaning: 'replay: leave the record as it is' },
  ],
  operandsMax: 1,
  async run(flags, [action = '']) {
    if (action !== 'list' && action !== 'replay') {
      return reportUsage(`unknown action ${action}: list or replay`);
    }
    const filter = filterOf(flags);
    if (typeof filter === 'string') return reportUsage(filter);
    const url = single(flags, 'url');
    const overrides = overridesFrom('hub', { ...flags, 'destination.url': url }, process.env);
    const loaded = loadHubConfig(single(flags, 'config.file') ?? '', overrides);
    if (loaded.kind === 'errors') return reportConfigErrors(loaded.lines);
    return await withStore(loaded.value, (store) =>
      action === 'list'
        ? list(store, filter, flags)
        : replayAll(store, filter, flags, loaded.value),
    );
  },
};

/** The filter, or what is wrong with a flag. */
function filterOf(flags: Flags): RefusedFilter | string {
  const id = single(flags, 'id');
  if (id !== undefined && !/^[1-9]\d{0,14}$/.test(id)) return `--id=${id}: expected a number`;
  const since = single(flags, 'since');
  const sinceMs = since === undefined ? undefined : parseDuration(since);
  if (since !== undefined && sinceMs === undefined) {
    return `--since=${since}: expected ${DURATION_FORM}`;
  }
  return {
    id: id === undefined ? undefined : Number(id),
    agent: single(flags, 'agent'),
    tenant: single(flags, 'tenant'),
    reason: single(flags, 'reason'),
    sinceMs: sinceMs === undefined ? undefined : systemClock.now() - sinceMs,
  };
}

/** Works with the record whether the hub runs or not: readers and writers do not wait in a WAL. */
async function withStore(
  { dataDir, refused }: HubConfig,
  work: (store: RefusedStore) => Promise<number> | number,
): Promise<number> {
  // Loaded late: `--help` and a wrong configuration need no native modules.
  const { visitRefusedStore } = await import('../hub/store/refused-store.ts');
  let store: RefusedStore | undefined;
  try {
    store = visitRefusedStore(dataDir, refused.bytesMax);
    if (store !== undefined) return await work(store);
    process.stderr.write(`no refused.db in ${dataDir}: no hub has run with this data_dir\n`);
  } catch (error) {
    if (!isSqliteError(error)) throw error;
    process.stderr.write(`refused.db in ${dataDir}: ${error.message}\n`);
  } finally {
    store?.close();
  }
  return 1;
}

function isSqliteError(error: unknown): error is Error {
  return error instanceof Error && ['SqliteError', 'NewerStoreError'].includes(error.name);
}

function list(store: RefusedStore, filter: RefusedFilter, flags: Flags): number {
  const isJson = flags['json'] === true;
  const ids = store.ids(filter);
  if (ids.length === 0 && !isJson) {
    print(['Nothing is kept that matches.']);
  } else if (flags['records'] === true || filter.id !== undefined) {
    for (const id of ids) {
      const record = store.get(id);
      if (record !== undefined) print(recordLines(record, isJson));
    }
  } else {
    for (const group of store.groups(filter)) {
      print(groupLines(group, store.get(group.lastId), isJson));
    }
  }
  return 0;
}

/** Oldest samples first; stops when the destination is away. */
async function replayAll(
  store: RefusedStore,
  filter: RefusedFilter,
  flags: Flags,
  { destination: to }: HubConfig,
): Promise<number> {
  const { Destination } = await import('../hub/write/destination.ts');
  const { replay } = await import('../hub/replay.ts');
  const { RefusalSearch } = await import('../hub/write/refusal-search.ts');
  const { authorization, ...rest } = to;
  const options = authorization === undefined ? rest : { ...rest, authorization };
  const destination = new Destination({ ...options, version });
  const deps = {
    store,
    kind: to.kind,
    protocol: to.protocol,
    post: destination.post,
    search: new RefusalSearch(to.refusalSearchPerMinute, systemClock),
    keep: flags['keep'] === true,
    clock: systemClock,
    random: systemRandom,
  };
  const ids = store.ids(filter);
  const sums = emptySums(ids.length);
  try {
    for (const id of ids) {
      const result = await replay(id, deps);
      print(replayLine(id, result));
      sum(sums, result);
      if (result.kind === 'unanswered' && result.isAway) break;
    }
  } finally {
    await destination.close();
  }
  print(replaySums(sums));
  return sums.openRecords + sums.untriedRecords === 0 ? 0 : 1;
}

function print(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}
