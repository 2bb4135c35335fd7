import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeMix15s, readCapture } from '../../bench/capture.ts';
import {
  type CheckingDestination,
  startCheckingDestination,
} from '../tools/checking-destination.ts';
import { compareSamples, type SamplesBySeries, sampleCount } from '../tools/compare.ts';
import { decodeExactly, labelNotation } from '../tools/exact-remote-write.ts';
import { until } from '../tools/until.ts';
import { Workspace } from '../tools/workspace.ts';
import { chainTenant, startChain } from './chain.ts';

const captureSamples = 532_777;
const deliverMsMax = 60_000;

describe('twenty minutes of real traffic, replayed through agent and hub', () => {
  const workspace = new Workspace('capture');
  const captured: SamplesBySeries = new Map();
  let destination: CheckingDestination;

  beforeAll(async () => {
    destination = await startCheckingDestination({ semantics: 'cortex' });
    workspace.onClose(() => destination.close());
    const { writeUrl } = await startChain(workspace, {
      destination: { kind: 'cortex', url: destination.url },
    });
    for (const { body } of readCapture(nodeMix15s)) {
      for (const { labels, samples } of decodeExactly(body)) {
        const series = labelNotation(labels);
        const before = captured.get(series);
        if (before === undefined) captured.set(series, samples);
        else before.push(...samples);
      }
      const response = await fetch(writeUrl, {
        method: 'POST',
        body: new Uint8Array(body),
        headers: { 'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy' },
      });
      expect(await response.text()).toBe('');
    }
    const delivered = () =>
      destination.requests.reduce((sum, { status, sampleCount }) => {
        return status === 200 ? sum + sampleCount : sum;
      }, 0);
    await until('all samples', deliverMsMax, () => delivered() >= captureSamples);
  }, 120_000);
  afterAll(() => workspace.close());

  test('arrive complete, bit for bit and each series in its order', () => {
    expect(sampleCount(captured)).toBe(captureSamples);
    const arrived = destination.samples(chainTenant);
    expect(sampleCount(arrived)).toBe(captureSamples);
    expect(compareSamples(captured, arrived)).toEqual([]);
  });

  test('are sent to the destination as it asks, and nothing of it twice', () => {
    expect(destination.violations).toEqual([]);
    expect(destination.outOfOrder).toEqual([]);
    expect(destination.repeated).toBe(0);
  });
});
