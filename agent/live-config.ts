import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/clock.ts';
import type { LoadedConfig } from '../base/config-file.ts';
import type { Log } from '../base/log.ts';
import type { AgentConfig } from './config.ts';
import { watchFilterFiles } from './filter/filter-files.ts';

/** How often files that the configuration names are looked at. */
const FILES_EVERY_MS = 5000;
/** What a reload changes, beside `parkedBytesMax` of the buffer; the rest needs a restart. */
const LIVE_KEYS = ['filter', 'limits', 'ingest'] as const;

export interface LiveConfigDeps {
  /** Reads the configuration file again. */
  load: () => LoadedConfig<AgentConfig>;
  /** A part that can change has changed. */
  onChange(config: AgentConfig): void;
  clock: Clock;
  log: Log;
}

export type ReloadOutcome = { kind: 'reloaded' } | { kind: 'failed'; lines: string[] };

/** The configuration as it is in force, which a reload or a change of a list's file replaces. */
export class LiveConfig {
  current: AgentConfig;
  /** Of the last reload; a start counts as one. */
  isGood = true;
  reloadedAtMs: number;
  readonly #deps: LiveConfigDeps;
  #watching = new AbortController();
  #watch: Promise<void>;
  #isStopped = false;

  constructor(config: AgentConfig, deps: LiveConfigDeps) {
    this.current = config;
    this.#deps = deps;
    this.reloadedAtMs = deps.clock.now();
    this.#watch = this.#watchFiles();
  }

  /**
   * Takes over what can change while the agent runs; with any error nothing changes. Waits for
   * nothing, so that a second reload finds all of the first one in force.
   */
  reload(): ReloadOutcome {
    const { load, log, clock } = this.#deps;
    // A file looked at from now on would keep the process alive.
    if (this.#isStopped) return { kind: 'failed', lines: ['the agent is stopping'] };
    const loaded = load();
    this.isGood = loaded.kind === 'config';
    if (loaded.kind === 'errors') {
      log.error({ errors: loaded.lines }, 'the configuration was not reloaded');
      return { kind: 'failed', lines: loaded.lines };
    }
    const changed = withLiveKeys(this.current, loaded.value);
    const waiting = keysThatWait(changed, loaded.value);
    this.#change(changed);
    this.reloadedAtMs = clock.now();
    // The watch before wakes up, and ends without another look.
    this.#watching.abort();
    this.#watching = new AbortController();
    this.#watch = this.#watchFiles();
    if (waiting.length === 0) log.info('the configuration was reloaded');
    else log.warn({ sections: waiting }, 'reloaded, but these changes need a restart');
    return { kind: 'reloaded' };
  }

  /** Stops looking at files, for good. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#watching.abort();
    await this.#watch;
  }

  #change(config: AgentConfig): void {
    this.current = config;
    this.#deps.onChange(config);
  }

  #watchFiles(): Promise<void> {
    const { clock, log } = this.#deps;
    return watchFilterFiles(this.current.filter, {
      clock,
      signal: this.#watching.signal,
      intervalMs: FILES_EVERY_MS,
      onChange: (filter) => {
        log.info('a list of metrics has changed');
        this.#change({ ...this.current, filter });
      },
      onError: (error) => log.error({ error }, 'a list of metrics stays as it was'),
    });
  }
}

/** `current` with what of `loaded` can change while the agent runs. */
function withLiveKeys(current: AgentConfig, loaded: AgentConfig): AgentConfig {
  const live = Object.fromEntries(LIVE_KEYS.map((key) => [key, loaded[key]]));
  const { parkedBytesMax } = loaded.buffer;
  return { ...current, ...live, buffer: { ...current.buffer, parkedBytesMax } };
}

/** Top-level parts that differ: they cannot change while the agent runs. */
function keysThatWait(before: AgentConfig, after: AgentConfig): string[] {
  const keys = Object.keys(after) as (keyof AgentConfig)[];
  return keys.filter((key) => !isDeepStrictEqual(before[key], after[key]));
}
