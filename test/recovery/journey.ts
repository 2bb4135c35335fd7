import { type Chain, type ChainOptions, startChain } from '../e2e/chain.ts';
import {
  type CheckingDestination,
  startCheckingDestination,
} from '../tools/checking-destination.ts';
import { until } from '../tools/until.ts';
import type { Workspace } from '../tools/workspace.ts';
import { NumberedWriter } from './numbered-writer.ts';

/** Backoffs of both programs are among it, thirty seconds each. */
const progressMsMax = 90_000;

/** A chain into a checking destination, and a sender that never stops while faults are injected. */
export interface Journey extends Chain {
  destination: CheckingDestination;
  writer: NumberedWriter;
}

/** @param options of the agent */
export async function startJourney(
  workspace: Workspace,
  { agent = {}, agentSettings = {} }: Pick<ChainOptions, 'agent' | 'agentSettings'> = {},
): Promise<Journey> {
  const destination = await startCheckingDestination();
  workspace.onClose(() => destination.close());
  const chain = await startChain(workspace, {
    destination: {
      kind: 'generic',
      url: destination.url,
      timeout: '2s',
      // A backlog becomes several requests on each lane, whose order then matters.
      max_samples_per_request: 50,
    },
    agentSettings: { batch: { max_delay: '100ms' }, ...agentSettings },
    agent,
  });
  const writer = new NumberedWriter(chain.writeUrl, 'steady', 0);
  return { ...chain, destination, writer };
}

/** Keeps the sender writing while `faults` runs; both have ended when it resolves. */
export async function whileWriting(
  { writer }: { writer: NumberedWriter },
  faults: () => Promise<void>,
): Promise<void> {
  const over = new AbortController();
  const writing = writer.run(over.signal);
  try {
    await faults();
  } finally {
    over.abort();
    await writing;
  }
}

/** Waits until so many more samples have been acknowledged by the agent. */
export function acknowledgedMore({ writer }: Journey, samples: number): Promise<void> {
  const enough = writer.acknowledged + samples;
  return until(`${samples} more samples acknowledged`, progressMsMax, () => {
    return writer.acknowledged >= enough;
  });
}

/** Waits until so many more requests have been answered 2xx by the destination. */
export function deliveredMore({ destination }: Journey, requests: number): Promise<void> {
  const delivered = () => destination.requests.filter(({ status }) => status === 200).length;
  const enough = delivered() + requests;
  return until(`${requests} more requests delivered`, progressMsMax, () => delivered() >= enough);
}
