import { expect, test } from 'vitest';
import { HubMetrics } from '../../hub/status/hub-metrics.ts';
import { hubStatus } from '../../hub/status/hub-status.ts';

const TOTALS = [
  { reason: 'out_of_order', records: 2, refused: 2, unknown: 3998, bytes: 90_000 },
  { reason: 'too_old', records: 1, refused: 1, unknown: 0, bytes: 500 },
];
const STORE = {
  problem: 'free space',
  damagedFiles: 1,
  damagedRows: 7,
  lastDamage: { problem: 'malformed', keptIn: '/data/hub.db.damaged-1', atMs: 0 },
};
const GAUGES = {
  heldBytes: () => 42,
  refused: () => TOTALS,
  agents: () => [
    { id: 'sg', heard: { agent: 'sg', atMs: 1_700_000_000_000, clockOffsetMs: 60_000 } },
    { id: 'fra', heard: undefined },
  ],
  lags: () => [
    { agent: 'sg', tenant: 'a', sinceMs: 5, isAnswered: true, seconds: 10 },
    { agent: 'sg', tenant: 'b', sinceMs: 6, isAnswered: false, seconds: 900 },
  ],
  store: () => STORE,
};

async function linesOf(metrics: HubMetrics): Promise<string[]> {
  return (await metrics.registry.metrics()).split('\n');
}

test('every sample of a settlement is in a counter of its agent', async () => {
  const metrics = new HubMetrics(GAUGES);
  const settlement = {
    accepted: 10,
    deduplicated: 1,
    redelivered: 2,
    unknown: 3,
    refused: new Map([['out_of_order' as const, 4]]),
  };
  metrics.settled('sg', settlement);
  metrics.refusedCredentials('wrong_token');
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
      'starferry_hub_refused_credentials_total{reason="wrong_token"} 1',
    ]),
  );
});

test('the lag is that of each tenant, and agents that were never heard are there as well', async () => {
  const lines = await linesOf(new HubMetrics(GAUGES));
  // Nobody knows that clock.
  expect(lines.join('\n')).not.toContain('clock_offset_seconds{agent="fra"}');
  expect(lines).toEqual(
    expect.arrayContaining([
      'starferry_hub_agent_lag_seconds{agent="sg",tenant="a"} 10',
      'starferry_hub_agent_lag_seconds{agent="sg",tenant="b"} 900',
      'starferry_hub_agent_last_heard_timestamp_seconds{agent="sg"} 1700000000',
      'starferry_hub_agent_last_heard_timestamp_seconds{agent="fra"} 0',
      'starferry_hub_agent_clock_offset_seconds{agent="sg"} 60',
    ]),
  );
});

test('damage to hub.db is counted once, however often it is asked for', async () => {
  const metrics = new HubMetrics(GAUGES);
  await linesOf(metrics);
  expect(await linesOf(metrics)).toEqual(
    expect.arrayContaining([
      'starferry_hub_store_damage_total{kind="file"} 1',
      'starferry_hub_store_damage_total{kind="row"} 7',
      'starferry_hub_store_unavailable 1',
    ]),
  );
});

test('the status names every agent, heard or not, and no token', async () => {
  const agents = ['sg', 'fra'].map((id) => ({ id, token: 'secret', tenants: ['a', 'b'] }));
  const destination = { kind: 'cortex', url: 'http://cortex' };
  const source = hubStatus(new HubMetrics(GAUGES), GAUGES, { agents, destination });
  const status = await source.status();
  expect(status).toMatchObject({
    heldBytes: 42,
    refused: TOTALS,
    store: {
      problem: 'free space',
      damagedRows: 7,
      lastDamage: { problem: 'malformed', keptIn: '/data/hub.db.damaged-1' },
    },
    agents: [
      {
        id: 'sg',
        clockOffsetSeconds: 60,
        lastHeard: '2023-11-14T22:13:20.000Z',
        lags: [
          { tenant: 'a', lagSeconds: 10, newestSampleMs: 5 },
          { tenant: 'b', lagSeconds: 900, newestSampleMs: null },
        ],
      },
      { id: 'fra', lastHeard: null, lags: [] },
    ],
  });
  expect(JSON.stringify(status)).not.toContain('secret');
});
