import { rmSync } from 'node:fs';
import type { HubLink } from '../../agent/ship/hub-client.ts';
import { addSettlement, emptySettlement } from '../../proto/settlement.ts';
import { AgentMachine, type AgentMachineDeps } from './agent-machine.ts';
import { Chance } from './chance.ts';
import { check, heldUp, shorten } from './check.ts';
import { makeSimulationFolder } from './data-folder.ts';
import { FaultyDestination } from './destination.ts';
import { Events } from './events.ts';
import { HubMachine } from './hub-machine.ts';
import { Ledger } from './ledger.ts';
import { FaultyLink } from './link.ts';
import { type Parts, shippedParts } from './parts.ts';
import { drawPlan, type Plan } from './plan.ts';
import { forgetConnections } from './power-cut.ts';
import { RefusedSamples } from './refused-samples.ts';
import { Sender } from './sender.ts';
import { Surroundings } from './surroundings.ts';

/** What one run has come to. */
export interface RunResult {
  seed: string;
  /** Empty: every promise was kept. */
  violations: string[];
  /** What happened, one line each. */
  trace: string[];
  /** Equal for two runs of a seed. */
  traceHash: string;
  virtualMs: number;
  acknowledged: number;
  operatorRestarts: number;
}

/** When everything works, the backlog must be gone after this. */
const DRAIN_MS_MAX = 3_600_000;
const LOOK_EVERY_MS = 1000;
/** An agent that was refused so often under its id is restarted. */
const TAKEOVERS_MAX = 2;
/** A tenant stays blocked while senders go on for so long, and everything else is calm. */
const BLOCKED_MS = 30_000;
/**
 * Then samples of the other tenants must go on arriving: within this at least one of them. For ten
 * minutes an agent may rely on no dictionary, when hubs have taken turns before.
 */
const NEIGHBOUR_WAIT_MS = 700_000;
const NEIGHBOUR_LOOK_MS = 10_000;
/** What is parked is released within this, where it may be. */
const PARKED_MS = 120_000;
/** By then nothing is under way on the link or on its way to the destination. */
const REST_MS = 120_000;

/** Agent, link, hubs and destination of one seed. */
export class Simulation {
  readonly surroundings: Surroundings;
  readonly ledger: Ledger;
  readonly destination: FaultyDestination;
  readonly agent: AgentMachine;
  readonly hubs: HubMachine[];
  isLinkDown = false;
  /** A second agent with the same id is alive. */
  isCloned = false;
  /** How often an agent had to be restarted because it was taken for a second one. */
  operatorRestarts = 0;
  readonly settled = emptySettlement();
  readonly refused = new RefusedSamples();
  readonly #folder = makeSimulationFolder();
  readonly #machines: AgentMachineDeps;
  readonly #sending = new AbortController();
  readonly #operating = new AbortController();
  #links = 0;
  #isBalanced = false;
  /** Left in the agent at the end. */
  #parked = 0;
  /** The hub behind the URL. */
  #hub: HubMachine;

  constructor(seed: string, plan: Plan, parts: Parts) {
    const surroundings = new Surroundings(new Chance(seed), plan, parts);
    this.surroundings = surroundings;
    this.ledger = new Ledger(plan.odd);
    this.destination = new FaultyDestination(surroundings);
    const common = { surroundings, folder: this.#folder };
    this.#machines = {
      ...common,
      ledger: this.ledger,
      connect: (isDead) => this.#connect(isDead),
    };
    this.agent = new AgentMachine('agent', this.#machines);
    this.hubs = ['hub', ...(plan.events.includes('two hubs') ? ['other hub'] : [])].map(
      (name) =>
        new HubMachine(name, {
          ...common,
          post: this.destination.post,
          settled: (settlement) => addSettlement(this.settled, settlement),
          refused: (requests) => this.refused.add(requests),
        }),
    );
    this.#hub = this.hubs[0]!;
  }

  /** A balancer sends each request to any of the hubs; when it is gone, one of them stays. */
  balance(now: boolean): void {
    this.#isBalanced = now;
    this.#hub = this.surroundings.chance.pick(this.hubs);
  }

  /** Another agent under the same id, with a copy of this one's data. */
  clone(name: string): AgentMachine {
    return new AgentMachine(name, this.#machines, this.agent.snapshot());
  }

  /** Senders write to a machine until `signal` is aborted. */
  async send(machine: AgentMachine, signal: AbortSignal): Promise<void> {
    const { surroundings, ledger } = this;
    const senders = surroundings.plan.tenants.map((tenant) =>
      new Sender(surroundings, ledger, machine, tenant).run(signal),
    );
    await Promise.all(senders);
  }

  /** Faults for a while, then calm until all has arrived; says what is not as promised. */
  async run(): Promise<string[]> {
    const { surroundings, ledger } = this;
    try {
      await surroundings.time.run(this.#live());
      const evidence = {
        plan: surroundings.plan,
        ledger,
        destination: this.destination.memory,
        refused: this.refused,
        settled: this.settled,
        parked: this.#parked,
        hubClockErrorMs: Math.max(...this.hubs.map(({ clock }) => clock.worstErrorMs)),
      };
      surroundings.violations.push(...check(evidence));
    } catch (error) {
      surroundings.violation(error instanceof Error ? String(error.stack) : String(error));
    } finally {
      forgetConnections(this.#folder);
      rmSync(this.#folder, { recursive: true, force: true });
    }
    return surroundings.violations;
  }

  async #live(): Promise<void> {
    const { surroundings, agent, hubs } = this;
    for (const hub of hubs) hub.start();
    agent.start();
    const sending = this.send(agent, this.#sending.signal);
    const operating = this.#operate();
    this.destination.block(surroundings.plan.blockade);
    await new Events(this).run();
    surroundings.isCalm = true;
    surroundings.note('calm');
    // By a wrong clock of the hub all samples may be from the future: they are held back till then.
    for (const hub of hubs) hub.clock.setRight();
    if (this.destination.blockade !== undefined) {
      await surroundings.time.sleep(BLOCKED_MS);
    }
    this.#sending.abort();
    await sending;
    await this.#awaitNeighbours();
    await this.#drain();
    this.#operating.abort();
    await operating;
    await surroundings.time.sleep(REST_MS);
    for (const hub of hubs) {
      const held = hub.process?.heldBytes ?? 0;
      if (held > 0) surroundings.violation(`${hub.name} still holds ${held} bytes`);
    }
    this.#parked = agent.process?.parked ?? 0;
    await agent.stop();
    await Promise.all(hubs.map((hub) => hub.stop()));
    await surroundings.rest();
  }

  /** All is well but for one tenant: the others must not wait for it. */
  async #awaitNeighbours(): Promise<void> {
    const { surroundings, agent, destination, ledger } = this;
    const { plan, time } = surroundings;
    const { blockade } = destination;
    if (blockade === undefined) return;
    let fewest = Number.POSITIVE_INFINITY;
    let overAtMs = 0;
    for (;;) {
      agent.noteLosses();
      const { memory } = destination;
      const waiting = heldUp({ plan, ledger, destination: memory, refused: this.refused });
      if (waiting.length === 0) break;
      if (waiting.length < fewest) overAtMs = time.elapsedMs + NEIGHBOUR_WAIT_MS;
      fewest = Math.min(fewest, waiting.length);
      if (time.elapsedMs > overAtMs) {
        for (const line of shorten(waiting)) surroundings.violation(line);
        break;
      }
      await time.sleep(NEIGHBOUR_LOOK_MS);
    }
    surroundings.note(`${blockade.tenant} may write again`);
    destination.block(undefined);
  }

  /** Does what an agent's log asks for when another one has taken over its id: restart it. */
  async #operate(): Promise<void> {
    const { agent, surroundings } = this;
    const { signal } = this.#operating;
    while (!signal.aborted) {
      await surroundings.time.sleep(LOOK_EVERY_MS, signal);
      if (this.isCloned || (agent.process?.takeovers ?? 0) < TAKEOVERS_MAX) continue;
      surroundings.note('the operator restarts the agent');
      this.operatorRestarts++;
      agent.crash();
      agent.start();
    }
  }

  /** Until nothing is left but what the destination would refuse, which waits for that to change. */
  async #drain(): Promise<void> {
    const { surroundings, agent } = this;
    const { time } = surroundings;
    const overAtMs = time.elapsedMs + DRAIN_MS_MAX;
    let emptySinceMs = time.elapsedMs;
    for (;;) {
      const { process } = agent;
      const isEmpty = process !== undefined && process.waiting() === process.parked;
      if (!isEmpty) emptySinceMs = time.elapsedMs;
      if (process?.waiting() === 0 || time.elapsedMs - emptySinceMs > PARKED_MS) return;
      if (time.elapsedMs > overAtMs) {
        surroundings.violation(`${process?.waiting()} samples are stuck in the buffer`);
        return;
      }
      await time.sleep(LOOK_EVERY_MS);
    }
  }

  #connect(isDead: () => boolean): HubLink {
    const { surroundings } = this;
    return new FaultyLink({
      surroundings,
      chance: surroundings.chance.part(`link ${this.#links++}`),
      route: () => this.#route(),
      isDown: () => this.isLinkDown,
      isDead,
    });
  }

  #route(): HubMachine {
    return this.#isBalanced ? this.surroundings.chance.pick(this.hubs) : this.#hub;
  }
}

/** Runs one seed; `parts` and `plan` are for tests that put something broken or special in. */
export async function simulate(
  seed: string,
  { parts, plan }: { parts?: Partial<Parts>; plan?: (drawn: Plan) => Plan } = {},
): Promise<RunResult> {
  const drawn = drawPlan(new Chance(`${seed}/plan`));
  const simulation = new Simulation(seed, plan?.(drawn) ?? drawn, { ...shippedParts, ...parts });
  const violations = await simulation.run();
  const { time, trace } = simulation.surroundings;
  return {
    seed,
    violations,
    trace,
    traceHash: simulation.surroundings.traceHash(),
    virtualMs: time.elapsedMs,
    acknowledged: simulation.ledger.acknowledged,
    operatorRestarts: simulation.operatorRestarts,
  };
}
