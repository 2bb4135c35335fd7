import type { AgeLimitOptions } from '../../hub/age-limits.ts';
import { Destination } from '../../hub/write/destination.ts';
import type { CortexLimits } from '../tools/cortex/limits.ts';
import { type CortexDestination, startCortexDestination } from '../tools/cortex-destination.ts';
import type { Workspace } from '../tools/workspace.ts';
import { type RunningReceiver, startReceiver } from './receive-fixture.ts';
import { InstantClock } from './write-fixture.ts';

export const SENDER = {
  tenantHeader: 'X-Scope-OrgID',
  timeoutMs: 5000,
  connectTimeoutMs: 5000,
  inFlightMax: 64,
  version: '0.0.0',
};

export interface CortexHub {
  hub: RunningReceiver;
  cortex: CortexDestination;
  /** Of both. */
  clock: InstantClock;
}

/** A hub from its receiver on, before a destination that behaves as Cortex, over real HTTP. */
export async function startCortexHub(
  workspace: Workspace,
  limits: Partial<CortexLimits> = {},
  ages: Partial<AgeLimitOptions> = {},
): Promise<CortexHub> {
  const clock = new InstantClock();
  const cortex = await startCortexDestination({ limits, now: () => clock.now() });
  workspace.onClose(() => cortex.close());
  const sender = new Destination({ ...SENDER, url: cortex.url });
  workspace.onClose(() => sender.close());
  const hub = startReceiver(workspace.subfolder('hub'), sender.post, {}, 'hub', clock, ages);
  workspace.onClose(async () => hub.kill());
  return { hub, cortex, clock };
}
