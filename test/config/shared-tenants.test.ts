import { describe, expect, it } from 'vitest';
import { sharedTenantWarnings } from '../../hub/shared-tenants.ts';
import type { DestinationKind } from '../../proto/outcome.ts';

const AGENTS = [
  { id: 'sg', token: '', tenants: ['overseas', 'own-sg'] },
  { id: 'fra', token: '', tenants: ['own-fra', 'overseas'] },
  { id: 'iad', token: '', tenants: ['own-iad'] },
];

function warnings(kind: DestinationKind, outOfOrderTimeWindowMs = 0, agents = AGENTS): string[] {
  return sharedTenantWarnings({ agents, destination: { kind, outOfOrderTimeWindowMs } });
}

describe('agents that share a tenant without an out-of-order window', () => {
  it.each(['cortex', 'mimir', 'thanos'] as const)('are named at a %s, with what to do', (kind) => {
    expect(warnings(kind)).toEqual([
      expect.stringMatching(
        /^agents: tenant overseas is shared by the agents sg, fra: .*out.of.order.time.window.* tenant of its own\.$/,
      ),
    ]);
  });

  it('are all of them at a Prometheus, which knows no tenants', () => {
    expect(warnings('prometheus')).toEqual([
      expect.stringMatching(/^destination: one Prometheus is shared by the agents sg, fra, iad: /),
    ]);
    expect(warnings('prometheus', 0, AGENTS.slice(0, 1))).toEqual([]);
  });

  it('are fine where nothing is refused for its age', () => {
    expect(warnings('victoriametrics')).toEqual([]);
    expect(warnings('generic')).toEqual([]);
  });

  it('are fine once a window is declared, and so are agents with tenants of their own', () => {
    expect(warnings('cortex', 1)).toEqual([]);
    expect(warnings('cortex', 0, AGENTS.slice(1))).toEqual([]);
  });
});
