import type { Clock } from '../../base/clock.ts';
import { StoreUnavailable } from '../store-unavailable.ts';
import { setDamagedRowsAside } from './damaged-rows.ts';
import { type Checked, valuesOf } from './hub-schema.ts';
import type { HubStatements } from './hub-statements.ts';
import type { StoreConnection } from './store-connection.ts';
import { DamagedStoreError } from './store-fault.ts';

/** Entries read at once: the statement must not stay open while others use the connection. */
const PAGE_ROWS = 1000;
/** Entries of dead epochs removed at once: some 10 ms of the hub's only thread. */
const REMOVED_AT_ONCE_MAX = 10_000;

type Head = Checked<{ agent: string; epoch: string; id: number }>;
type Row = Checked<{ epoch: string; id: number; entry: Buffer }>;

/** The copies of the agents' dictionary logs; epochs are in hexadecimal. */
export class DictionaryTable {
  readonly #connection: StoreConnection<HubStatements>;
  readonly #clock: Clock;
  /** Epochs that are to be removed, and are not there any more for anybody else. */
  readonly #dead = new Map<string, { agent: string; epoch: string }>();

  constructor(connection: StoreConnection<HubStatements>, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  /**
   * Appends entries to the copy of a log; durable when it returns. Whatever else there is from
   * `firstId` on was not part of the copy and goes.
   *
   * @throws StoreUnavailable
   */
  add(agent: string, epoch: string, firstId: number, entries: readonly Uint8Array[]): void {
    this.#connection.together((statements) => {
      statements.removeEntriesFrom.run(agent, epoch, firstId);
      entries.forEach((entry, index) => {
        const values = valuesOf('entries', agent, epoch, firstId + index, entry);
        statements.addEntry.run(...values);
      });
    });
    this.#dead.delete(keyOf(agent, epoch));
  }

  /**
   * Entries of all epochs of an agent, epoch by epoch, in the order of their ids from 0 on. What
   * lies behind a damaged or missing one is dropped. Others may use the store in between.
   *
   * @throws StoreUnavailable
   */
  *of(agent: string): Generator<{ epoch: string; id: number; entry: Uint8Array }> {
    let last = { epoch: '', id: -1 };
    let log = { epoch: '', next: 0, isCut: false };
    for (;;) {
      const page = this.#entriesBehind(agent, last);
      for (const { epoch, id, entry, is_intact } of page) {
        if (epoch !== log.epoch) {
          log = { epoch, next: 0, isCut: this.#dead.has(keyOf(agent, epoch)) };
        }
        if (log.isCut) continue;
        if (is_intact === 1 && id === log.next) {
          log.next++;
          yield { epoch, id, entry };
        } else {
          log.isCut = true;
          if (is_intact !== 1) this.#setAside();
          this.#cut(agent, epoch, log.next);
        }
      }
      if (page.length < PAGE_ROWS) return;
      // Damaged ones are gone by now, and their keys may be no text that can be passed on.
      last = page.findLast(({ is_intact }) => is_intact === 1) ?? last;
    }
  }

  /**
   * Forgets an epoch. Its entries go a part at a time, with `tidy`; what a crash leaves of them is
   * the beginning of the log.
   */
  remove(agent: string, epoch: string): void {
    this.#dead.set(keyOf(agent, epoch), { agent, epoch });
    this.tidy();
  }

  /** Removes some entries of dead epochs; to be called once a second. */
  tidy(): void {
    const [dead] = this.#dead;
    if (dead === undefined) return;
    const [key, { agent, epoch }] = dead;
    try {
      const { changes } = this.#connection.together(({ removeLastEntries }) =>
        removeLastEntries.run(agent, epoch, agent, epoch, REMOVED_AT_ONCE_MAX),
      );
      if (changes < REMOVED_AT_ONCE_MAX) this.#dead.delete(key);
    } catch (error) {
      // It was said what is wrong, and the next call tries again.
      if (!(error instanceof StoreUnavailable)) throw error;
    }
  }

  /** The database has been begun anew. */
  startOver(): void {
    this.#dead.clear();
  }

  /**
   * Drops logs that do not begin as logs do: no agent would ever ask for what lies under a damaged
   * key. The rest is checked when its agent is heard.
   *
   * @throws StoreUnavailable
   */
  verify(): void {
    let last = { agent: '', epoch: '' };
    for (let head = this.#headBehind(last); head !== undefined; head = this.#headBehind(last)) {
      // Its key may be no text that can be passed on.
      if (head.is_intact !== 1) this.#setAside();
      else {
        if (head.id !== 0) this.#cut(head.agent, head.epoch, 0);
        last = head;
      }
    }
  }

  /** The first entry of the next log. */
  #headBehind({ agent, epoch }: { agent: string; epoch: string }): Head | undefined {
    return this.#connection.use(({ headBehind }) => headBehind.get(agent, epoch)) as
      | Head
      | undefined;
  }

  #entriesBehind(agent: string, last: { epoch: string; id: number }): Row[] {
    return this.#connection.use(({ entries }) => {
      const page = entries.all(agent, last.epoch, last.id, PAGE_ROWS) as Row[];
      const end = page.findLast(({ is_intact }) => is_intact === 1);
      const isBehind =
        end === undefined ||
        end.epoch > last.epoch ||
        (end.epoch === last.epoch && end.id > last.id);
      // Read on from there, it would never come to an end.
      if (!isBehind) throw new DamagedStoreError('the dictionaries are not in their order');
      return page;
    });
  }

  /** Drops the entries of a log from `firstId` on: that one is damaged or missing. */
  #cut(agent: string, epoch: string, firstId: number): void {
    const from = firstId === 0 ? Number.MIN_SAFE_INTEGER : firstId;
    const { changes } = this.#connection.together(({ removeEntriesFrom }) =>
      removeEntriesFrom.run(agent, epoch, from),
    );
    this.#connection.noteDamagedRows('entries', changes);
  }

  #setAside(): void {
    setDamagedRowsAside(this.#connection, 'entries', this.#clock.now());
  }
}

function keyOf(agent: string, epoch: string): string {
  return `${epoch} ${agent}`;
}
