import type { TableName } from './hub-schema.ts';
import type { HubStatements } from './hub-statements.ts';
import type { StoreConnection } from './store-connection.ts';

/** Damaged rows that are kept for somebody to look at. */
const KEPT_MAX = 1000;

/**
 * Moves the rows of a table that do not agree with their checksums into `damaged_rows`. All in SQL:
 * what stands in them may be no text that survives being read.
 *
 * @throws StoreUnavailable
 */
export function setDamagedRowsAside(
  connection: StoreConnection<HubStatements>,
  table: TableName,
  nowMs: number,
): void {
  const { changes } = connection.together((statements) => {
    statements.keepDamagedRows[table].run(nowMs, KEPT_MAX);
    statements.boundDamagedRows.run(KEPT_MAX);
    return statements.removeDamagedRows[table].run();
  });
  connection.noteDamagedRows(table, changes);
}
