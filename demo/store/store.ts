import Database from 'better-sqlite3';
import type { Matcher } from '../../proto/selector.ts';
import type { Sample } from '../write-request.ts';

/** What is not stored is named as Cortex names it. */
export type AddOutcome = 'stored' | 'out of order sample' | 'duplicate sample for timestamp';

const AGE_MAX_MS = 2 * 3600_000;
const PAGES_MAX = 512 * 256; // 512 MiB of SQLite's 4 KiB
const SWEEP_EVERY_MS = 60_000;
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, tenant TEXT, labels TEXT, UNIQUE (tenant, labels));
  CREATE TABLE IF NOT EXISTS samples (
    series INTEGER, timestamp INTEGER, low INTEGER, high INTEGER,
    PRIMARY KEY (series, timestamp)) WITHOUT ROWID`;

/**
 * The samples of the last two hours. Those of a series only move forward in time, as in a Cortex
 * without an out-of-order window. A full store throws, and has room again when old samples go.
 */
export class Store {
  readonly #db: Database.Database;
  readonly #sql: ReturnType<typeof prepareStatements>;
  #sweptMs = Number.NEGATIVE_INFINITY;

  constructor(file: string) {
    this.#db = new Database(file);
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma('synchronous = FULL');
    this.#db.pragma(`max_page_count = ${PAGES_MAX}`);
    this.#db.exec(SCHEMA);
    this.#sql = prepareStatements(this.#db);
  }

  /** All that `write` adds is synced when this returns; nothing of it is kept when it throws. */
  transact(write: () => void, nowMs: number): void {
    if (nowMs - this.#sweptMs >= SWEEP_EVERY_MS) {
      this.#sql.deleteSamples.run(nowMs - AGE_MAX_MS);
      this.#sql.deleteSeries.run();
      this.#sweptMs = nowMs;
    }
    this.#db.transaction(write)();
  }

  /** The id of the series with these labels, which ascend by name; begun when there is none. */
  open(tenant: string, labels: [string, string][]): number {
    const text = JSON.stringify(labels);
    const known = this.#sql.selectId.get(tenant, text) as number | undefined;
    return known ?? Number(this.#sql.insertSeries.run(tenant, text).lastInsertRowid);
  }

  add(series: number, [timestamp, low, high]: Sample): AddOutcome {
    const newest = this.#sql.selectNewest.get(series) as Sample | undefined;
    if (newest !== undefined && timestamp < newest[0]) return 'out of order sample';
    if (timestamp === newest?.[0]) {
      const same = low === newest[1] && high === newest[2];
      return same ? 'stored' : 'duplicate sample for timestamp';
    }
    this.#sql.insertSample.run(series, timestamp, low, high);
    return 'stored';
  }

  select(tenant: string, matchers: Matcher[]): { id: number; labels: Map<string, string> }[] {
    return (this.#sql.selectSeries.all(tenant) as [number, string][])
      .map(([id, text]) => ({ id, labels: new Map<string, string>(JSON.parse(text)) }))
      .filter(({ labels }) => matchers.every(({ name, test }) => test(labels.get(name) ?? '')));
  }

  /** Samples with a timestamp in (fromMs, toMs], oldest first. */
  samples(series: number, fromMs: number, toMs: number): Sample[] {
    return this.#sql.selectSamples.all(series, fromMs, toMs) as Sample[];
  }

  close(): void {
    this.#db.close();
  }
}

function prepareStatements(db: Database.Database) {
  const rows = 'SELECT timestamp, low, high FROM samples WHERE series = ?';
  return {
    insertSeries: db.prepare('INSERT INTO series (tenant, labels) VALUES (?, ?)'),
    selectId: db.prepare('SELECT id FROM series WHERE tenant = ? AND labels = ?').pluck(),
    selectSeries: db.prepare('SELECT id, labels FROM series WHERE tenant = ?').raw(),
    insertSample: db.prepare('INSERT INTO samples VALUES (?, ?, ?, ?)'),
    selectNewest: db.prepare(`${rows} ORDER BY timestamp DESC LIMIT 1`).raw(),
    selectSamples: db.prepare(`${rows} AND timestamp > ? AND timestamp <= ? ORDER BY 1`).raw(),
    deleteSamples: db.prepare(
      'DELETE FROM samples WHERE series IN (SELECT id FROM series) AND timestamp < ?',
    ),
    deleteSeries: db.prepare(
      'DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM samples WHERE samples.series = series.id)',
    ),
  };
}
