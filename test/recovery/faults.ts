import type { Random } from '../../base/random.ts';
import type { CheckingDestination } from '../tools/checking-destination.ts';
import { until } from '../tools/until.ts';
import { acknowledgedMore, deliveredMore, type Journey } from './journey.ts';

/** What the sender gets done, in samples, while something is broken. */
const outageSamples = 500;
/** Backoffs of both programs are among what a fault has to wait for, thirty seconds each. */
const faultMsMax = 90_000;
const everyOtherFailures = 8;

/** Something that happens to the path and is mended again by the time it resolves. */
export type Fault = (journey: Journey) => Promise<void>;

/** Refuses and resets connections while the sender goes on. */
export const cutLink: Fault = async (journey) => {
  await journey.proxy.cut('reset');
  await acknowledgedMore(journey, outageSamples);
  await journey.proxy.restore();
};

/** Cuts once the hub has a batch and before the agent has the answer. */
export const loseAnswer: Fault = async ({ proxy }) => {
  const cutsBefore = proxy.cuts;
  proxy.cutAfterBytes(1, 'down');
  await until('an answer to be lost', faultMsMax, () => proxy.cuts > cutsBefore);
};

/** Lets nothing pass, then all that was held back. */
export const silenceLink: Fault = async (journey) => {
  journey.proxy.blackhole();
  await acknowledgedMore(journey, outageSamples);
  await journey.proxy.restore();
};

/** SIGTERM, then a start on the same data. */
export const restartHub: Fault = async (journey) => {
  await journey.hub.process.stop();
  await acknowledgedMore(journey, outageSamples);
  await journey.hub.start();
};

export const killHub: Fault = async (journey) => {
  await journey.hub.process.kill();
  await acknowledgedMore(journey, outageSamples);
  await journey.hub.start();
};

/** Kills it while it holds batches that the destination has not taken. */
export const killFullHub: Fault = async ({ destination, hub }) => {
  await failRequests(destination, 1);
  await hub.process.kill();
  destination.answerAllWith(undefined);
  await hub.start();
};

/** Right after an answer: what it promised must be on disk by then. */
export const killAgent: Fault = async ({ agent, writer }) => {
  await writer.nextAcknowledgement();
  await agent.process.kill();
  await agent.start();
};

/** Answers 500 to at least three requests and stores nothing. */
export const failDestination: Fault = async ({ destination }) => {
  await failRequests(destination, 3);
  destination.answerAllWith(undefined);
};

/** Answers 500 to every other request of a backlog: what failed must not be overtaken. */
export const failEveryOther: Fault = async (journey) => {
  const { destination } = journey;
  const failed = () => destination.requests.filter(({ status }) => status === 500).length;
  const enough = failed() + everyOtherFailures;
  await journey.proxy.cut();
  await acknowledgedMore(journey, outageSamples);
  for (let failure = 0; failure < everyOtherFailures; failure++) {
    destination.answerNext({ status: 500 }, 'as usual');
  }
  await journey.proxy.restore();
  await until('every other request to fail', faultMsMax, () => failed() >= enough);
};

/** From now on every request is answered 500; resolves after the first so many. */
async function failRequests(destination: CheckingDestination, requests: number): Promise<void> {
  const failed = () => destination.requests.filter(({ status }) => status === 500).length;
  const enough = failed() + requests;
  destination.answerAllWith(500);
  await until(`${requests} requests to fail`, faultMsMax, () => failed() >= enough);
}

/** By the part that breaks; two faults of one part cannot overlap, nor one of two parts. */
const faultsByPart: Fault[][] = [
  [cutLink, loseAnswer, silenceLink],
  [restartHub, killHub],
  [killAgent],
  [failDestination],
];

/**
 * Breaks every part at once, again and again: each fault of a part `rounds` times, in an order
 * drawn from `random`, while the other parts have theirs.
 */
export async function breakEverything(
  journey: Journey,
  random: Random,
  rounds: number,
): Promise<void> {
  await Promise.all(
    faultsByPart.map(async (faults) => {
      const due = shuffled(Array.from({ length: rounds }, () => faults).flat(), random);
      for (const fault of due) {
        // Without a word getting through now and then, backoffs would only grow.
        await deliveredMore(journey, 1);
        await fault(journey);
      }
    }),
  );
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const rest = [...items];
  return items.map(() => rest.splice(Math.floor(random.float() * rest.length), 1)[0]!);
}
