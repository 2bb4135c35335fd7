import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/**
 * Tells systemd how the service is doing, when it asks (`Type=notify`, `NotifyAccess=all`). Node
 * has no datagram Unix sockets, so systemd's own tool sends the message. It is missing in minimal
 * containers, which do not ask either; a failure must not stop a service that runs.
 */
export async function notifySystemd(state: '--ready' | '--stopping'): Promise<void> {
  if (process.env['NOTIFY_SOCKET'] === undefined) return;
  try {
    await promisify(execFile)('systemd-notify', ['--no-block', state], { timeout: 5000 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    process.stderr.write(`systemd-notify ${state}: ${reason}\n`);
  }
}
