import type Database from 'better-sqlite3';
import { versionOf } from './store-version.ts';

/** 1: a checksum over the whole row. 0: before there were versions, over tenant and body only. */
export const REFUSED_VERSION = 1;

/**
 * The totals follow every row by triggers, whichever process adds or removes it. The columns named
 * doubtful count samples of which nothing is known: files of earlier versions have that name.
 */
const SCHEMA = `
  CREATE TABLE refused (
    id INTEGER PRIMARY KEY AUTOINCREMENT, recorded_at INTEGER NOT NULL,
    agent TEXT NOT NULL, tenant TEXT NOT NULL, reason TEXT NOT NULL,
    message TEXT NOT NULL, message_group TEXT NOT NULL,
    refused INTEGER NOT NULL, doubtful INTEGER NOT NULL,
    oldest REAL NOT NULL, newest REAL NOT NULL, examples TEXT NOT NULL,
    bytes INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL, row_crc INTEGER
  );
  CREATE INDEX refused_by_age ON refused (recorded_at, id);
  CREATE TABLE totals (
    reason TEXT PRIMARY KEY, records INTEGER NOT NULL,
    refused INTEGER NOT NULL, doubtful INTEGER NOT NULL, bytes INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TRIGGER refused_added AFTER INSERT ON refused BEGIN
    INSERT INTO totals VALUES (NEW.reason, 1, NEW.refused, NEW.doubtful, NEW.bytes)
      ON CONFLICT DO UPDATE SET records = records + 1, refused = refused + NEW.refused,
        doubtful = doubtful + NEW.doubtful, bytes = bytes + NEW.bytes;
  END;
  CREATE TRIGGER refused_removed AFTER DELETE ON refused BEGIN
    UPDATE totals SET records = records - 1, refused = refused - OLD.refused,
      doubtful = doubtful - OLD.doubtful, bytes = bytes - OLD.bytes WHERE reason = OLD.reason;
  END;
`;

/** Records of version 0 keep the checksum they have: a disk may be full of them. */
export function prepareSchema(db: Database.Database): void {
  if (versionOf(db) === REFUSED_VERSION) return;
  const all = db.transaction(() => {
    const isOld = db.prepare('SELECT 1 FROM sqlite_schema').get() !== undefined;
    if (isOld) {
      db.exec('ALTER TABLE refused ADD COLUMN row_crc INTEGER');
      renameReason(db);
    } else db.exec(SCHEMA);
    db.pragma(`user_version = ${REFUSED_VERSION}`);
  });
  all.immediate();
}

/** Version 0 recorded refusals in unrecognised words as `unknown`, which is another count now. */
function renameReason(db: Database.Database): void {
  db.exec(`
    UPDATE refused SET reason = 'other' WHERE reason = 'unknown';
    INSERT INTO totals SELECT 'other', records, refused, doubtful, bytes FROM totals
      WHERE reason = 'unknown'
      ON CONFLICT DO UPDATE SET records = records + excluded.records,
        refused = refused + excluded.refused, doubtful = doubtful + excluded.doubtful,
        bytes = bytes + excluded.bytes;
    DELETE FROM totals WHERE reason = 'unknown';
  `);
}
