import Database from 'better-sqlite3';
import type { Halves } from '../write-request.ts';
import type { Matcher } from './selector.ts';

export type Labels = ReadonlyMap<string, string>;
/** [timestamp, low half, high half]: a stored sample, as bits, so that a stale marker stays one. */
export type Row = [number, number, number];
/** What is not stored is named as Cortex names it. */
export type AddOutcome = 'stored' | 'out of order sample' | 'duplicate sample for timestamp';

const AGE_MAX_MS = 2 * 3600_000;
const STORED_BYTES_MAX = 512 * 1024 ** 2;
const SWEEP_EVERY_MS = 60_000;
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, tenant TEXT, labels TEXT, UNIQUE (tenant, labels));
  CREATE TABLE IF NOT EXISTS samples (
    series INTEGER, timestamp INTEGER, low INTEGER, high INTEGER,
    PRIMARY KEY (series, timestamp)) WITHOUT ROWID`;
const ROWS = 'SELECT timestamp, low, high FROM samples WHERE series = ?';

/**
 * The samples of the last two hours, or of less time when they are too many. Those of a series
 * only move forward in time, as in a Cortex without an out-of-order window.
 */
export class Store {
  readonly #db: Database.Database;
  readonly #insertSeries: Database.Statement;
  readonly #selectId: Database.Statement;
  readonly #selectSeries: Database.Statement;
  readonly #insertSample: Database.Statement;
  readonly #selectNewest: Database.Statement;
  readonly #selectSamples: Database.Statement;
  #sweptMs = Number.NEGATIVE_INFINITY;

  constructor(file: string) {
    this.#db = new Database(file);
    this.#db.pragma('journal_mode = WAL');
    this.#db.pragma('synchronous = FULL');
    this.#db.exec(SCHEMA);
    const prepare = (sql: string) => this.#db.prepare(sql);
    this.#insertSeries = prepare('INSERT INTO series (tenant, labels) VALUES (?, ?)');
    this.#selectId = prepare('SELECT id FROM series WHERE tenant = ? AND labels = ?').pluck();
    this.#selectSeries = prepare('SELECT id, labels FROM series WHERE tenant = ?').raw();
    this.#insertSample = prepare('INSERT INTO samples VALUES (?, ?, ?, ?)');
    this.#selectNewest = prepare(`${ROWS} ORDER BY timestamp DESC LIMIT 1`).raw();
    this.#selectSamples = prepare(
      `${ROWS} AND timestamp > ? AND timestamp <= ? ORDER BY timestamp`,
    ).raw();
  }

  /** All that `write` adds is synced when this returns; nothing of it is kept when it throws. */
  transact(write: () => void, nowMs: number): void {
    if (nowMs - this.#sweptMs >= SWEEP_EVERY_MS) this.#sweep(nowMs);
    this.#db.transaction(write)();
  }

  /** The id of the series with these labels, which ascend by name; begun when there is none. */
  open(tenant: string, labels: [string, string][]): number {
    const text = JSON.stringify(labels);
    const known = this.#selectId.get(tenant, text) as number | undefined;
    return known ?? Number(this.#insertSeries.run(tenant, text).lastInsertRowid);
  }

  add(series: number, timestamp: number, value: Halves): AddOutcome {
    const [low, high] = [value.low | 0, value.high | 0];
    const newest = this.#selectNewest.get(series) as Row | undefined;
    if (newest !== undefined && timestamp < newest[0]) return 'out of order sample';
    if (timestamp === newest?.[0]) {
      const same = low === newest[1] && high === newest[2];
      return same ? 'stored' : 'duplicate sample for timestamp';
    }
    this.#insertSample.run(series, timestamp, low, high);
    return 'stored';
  }

  select(tenant: string, matchers: Matcher[]): { id: number; labels: Labels }[] {
    return (this.#selectSeries.all(tenant) as [number, string][])
      .map(([id, text]) => ({ id, labels: new Map<string, string>(JSON.parse(text)) }))
      .filter(({ labels }) => matchers.every(({ name, test }) => test(labels.get(name) ?? '')));
  }

  /** Samples with a timestamp in (fromMs, toMs], oldest first. */
  samples(series: number, fromMs: number, toMs: number): Row[] {
    return this.#selectSamples.all(series, fromMs, toMs) as Row[];
  }

  close(): void {
    this.#db.close();
  }

  #sweep(nowMs: number): void {
    this.#sweptMs = nowMs;
    const usedBytes = this.#db.prepare(`SELECT (page_count - freelist_count) * page_size
      FROM pragma_page_count, pragma_freelist_count, pragma_page_size`);
    const deleteSamples = this.#db.prepare(
      'DELETE FROM samples WHERE series IN (SELECT id FROM series) AND timestamp < ?',
    );
    for (let ageMs = AGE_MAX_MS; ageMs >= 1000; ageMs /= 2) {
      deleteSamples.run(nowMs - ageMs);
      if ((usedBytes.pluck().get() as number) <= STORED_BYTES_MAX) break;
    }
    this.#db.exec(`DELETE FROM series
      WHERE NOT EXISTS (SELECT 1 FROM samples WHERE samples.series = series.id)`);
  }
}
