import { expect, test } from 'vitest';
import { HubMetrics } from '../../hub/status/hub-metrics.ts';
import { hubStatus } from '../../hub/status/hub-status.ts';
import { emptySettlement } from '../../proto/settlement.ts';
import { InstantClock } from './write-fixture.ts';

const TOTALS = [
  { reason: 'out_of_order', records: 2, refused: 2, unknown: 3998, bytes: 90_000 },
  { reason: 'too_old', records: 1, refused: 1, unknown: 0, bytes: 500 },
];
const GAUGES = { heldBytes: () => 42, refused: () => TOTALS };

async function linesOf(metrics: HubMetrics): Promise<string[]> {
  return (await metrics.registry.metrics()).split('\n');
}

test('every sample of a settlement is in a counter of its agent', async () => {
  const metrics = new HubMetrics(new InstantClock(), GAUGES);
  const settlement = {
    accepted: 10,
    deduplicated: 1,
    redelivered: 2,
    unknown: 3,
    refused: new Map([['out_of_order' as const, 4]]),
  };
  metrics.settled('sg', settlement, 5);
  metrics.refusedDropped('bytes', 6);
  expect(await linesOf(metrics)).toEqual(
    expect.arrayContaining([
      'starferry_hub_written_samples_total{agent="sg"} 11',
      'starferry_hub_redelivered_samples_total{agent="sg"} 2',
      'starferry_hub_rejected_samples_total{agent="sg",reason="unknown"} 3',
      'starferry_hub_rejected_samples_total{agent="sg",reason="out_of_order"} 4',
      'starferry_hub_held_bytes 42',
      'starferry_hub_refused_records 3',
      'starferry_hub_refused_record_bytes 90500',
      'starferry_hub_refused_records_dropped_total{reason="bytes"} 6',
    ]),
  );
});

test('the lag is in the agent’s time and grows while the agent is silent', async () => {
  const clock = new InstantClock();
  const metrics = new HubMetrics(clock, GAUGES);
  // The agent's clock is a minute behind; its newest sample is ten seconds old.
  const agentNowMs = clock.now() - 60_000;
  metrics.heard('sg', 60_000);
  metrics.settled('sg', { ...emptySettlement(), accepted: 1 }, agentNowMs - 10_000);
  expect(await linesOf(metrics)).toContain('starferry_hub_agent_lag_seconds{agent="sg"} 10');
  expect(await linesOf(metrics)).toContain(
    'starferry_hub_agent_clock_offset_seconds{agent="sg"} 60',
  );
  await clock.sleep(5000);
  metrics.settled('sg', { ...emptySettlement(), accepted: 1 }, agentNowMs - 20_000);
  expect(await linesOf(metrics)).toContain('starferry_hub_agent_lag_seconds{agent="sg"} 15');
});

test('the status names every agent, heard or not, and no token', async () => {
  const clock = new InstantClock();
  const metrics = new HubMetrics(clock, GAUGES);
  metrics.heard('sg', 2000);
  const agents = ['sg', 'fra'].map((id) => ({ id, token: 'secret', tenants: ['a'] }));
  const destination = { kind: 'cortex', url: 'http://cortex' };
  const source = hubStatus(metrics, GAUGES, { agents, destination });
  const status = await source.status();
  expect(status).toMatchObject({
    heldBytes: 42,
    refused: TOTALS,
    agents: [
      { id: 'sg', clockOffsetSeconds: 2, lastHeard: new Date(clock.now()).toISOString() },
      { id: 'fra', lastHeard: null },
    ],
  });
  expect(JSON.stringify(status)).not.toContain('secret');
});
