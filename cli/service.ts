import { once } from 'node:events';
import type { Log } from '../base/log.ts';
import { notifySystemd } from './systemd-notify.ts';

/** A program that runs until it is told to stop. */
export interface Service {
  /** Reads the configuration again, on SIGHUP. */
  reload?(): Promise<void>;
  /** Everything that keeps the process alive has to be over within `deadlineMs`. */
  close(deadlineMs: number): Promise<void>;
}

/** Ctrl-C under npm arrives twice: from the terminal and passed on. A person needs longer. */
const SAME_SIGNAL_MS = 500;
/** systemd and Kubernetes kill after 90 and 30 s by default: the end has to come before. */
const STOP_DEADLINE_MS = 15_000;
/** Whatever hangs then is cut off: the process has to be gone at the deadline. */
const CUT_OFF_MS = 14_500;

/**
 * Starts a service, tells systemd, and waits for SIGTERM or SIGINT; then drains, and is gone within
 * the deadline. A second signal ends the process at once: what was answered 2xx is on disk anyway.
 * Resolves with the exit code.
 *
 * @param options reloads: SIGHUP reads the configuration again, and is ignored before it can
 */
export async function runService(
  log: Log,
  start: () => Promise<Service>,
  { reloads }: { reloads: boolean } = { reloads: false },
): Promise<number> {
  const stop = AbortSignal.any([signalled('SIGTERM'), signalled('SIGINT')]);
  let service: Service | undefined;
  // Without a listener SIGHUP ends the process, as when a terminal closes.
  if (reloads) process.on('SIGHUP', () => void service?.reload?.());
  try {
    service = await start();
  } catch (error) {
    log.fatal({ err: error }, 'cannot start');
    return 1;
  }
  await notifySystemd('--ready');
  if (!stop.aborted) await once(stop, 'abort');
  const stoppedMs = performance.now();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (performance.now() - stoppedMs > SAME_SIGNAL_MS) process.exit(1);
    });
  }
  cutOff(log);
  log.info({ deadlineMs: STOP_DEADLINE_MS }, `${stop.reason}: draining`);
  await notifySystemd('--stopping');
  await service.close(STOP_DEADLINE_MS);
  return 0;
}

/** Ends the process should anything still hang: what was answered 2xx is on disk anyway. */
function cutOff(log: Log): void {
  const timer = setTimeout(() => {
    log.error({ deadlineMs: STOP_DEADLINE_MS }, 'cannot stop in good order: ends now');
    process.exit(1);
  }, CUT_OFF_MS);
  // It keeps nothing alive itself.
  timer.unref();
}

function signalled(signal: 'SIGTERM' | 'SIGINT'): AbortSignal {
  const controller = new AbortController();
  process.once(signal, () => controller.abort(signal));
  return controller.signal;
}
