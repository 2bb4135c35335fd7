import type { AgentMachine } from './agent-machine.ts';
import type { Chance } from './chance.ts';
import { MOMENTS } from './moments.ts';
import type { EventName } from './plan.ts';
import type { Simulation } from './simulation.ts';

const STEPS_BEFORE_MAX = 30;
const TURNS_MAX = 40;
const DOWN_MS_MAX = 15_000;
const OUTAGE_MS_MAX = 60_000;
const CLOCK_STEP_MS_MAX = 2 * 3_600_000;
/** By a clock further behind all samples are from the future, and wait until it is set right. */
const HUB_CLOCK_STEP_MS_MAX = 100_000;
/** What is up to a minute old is an hour behind it. */
const HEAD_AHEAD_MS = 3_600_000;
/** If a moment to crash at has not come by then, the crash does not wait for it. */
const MOMENT_MS_MAX = 10_000;

/** Lets the events of a plan happen, several of them at a time if it comes so. */
export class Events {
  readonly #simulation: Simulation;
  readonly #chance: Chance;
  #clones = 0;
  #isRestoring = false;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#chance = simulation.surroundings.chance.part('events');
  }

  /** Resolves when the time of faults is over and each event has come to its end. */
  async run(): Promise<void> {
    const { surroundings } = this.#simulation;
    const { time, plan } = surroundings;
    const underWay: Promise<void>[] = [];
    for (;;) {
      await time.sleep(this.#chance.between(0, 2 * plan.eventEveryMs));
      if (time.elapsedMs >= plan.faultsMs) break;
      if (plan.events.length === 0) continue;
      const name = this.#chance.pick(plan.events);
      surroundings.note(`event: ${name}`);
      underWay.push(this.#happen(name));
    }
    await Promise.all(underWay);
  }

  #happen(name: EventName): Promise<void> {
    const { surroundings, agent, destination, hubs } = this.#simulation;
    switch (name) {
      case 'agent crash':
        return this.#crashAgent(agent);
      case 'hub crash':
        return this.#crashHub(() => {});
      case 'hub data deleted':
        return this.#crashHub((hub) => hub.deleteData());
      case 'link outage':
        return this.#during(OUTAGE_MS_MAX, (now) => {
          this.#simulation.isLinkDown = now;
        });
      case 'destination outage':
        return this.#during(OUTAGE_MS_MAX, (now) => {
          destination.isDown = now;
        });
      case 'clock step': {
        const machine = this.#chance.pick([agent, ...hubs]);
        const ms = machine === agent ? CLOCK_STEP_MS_MAX : HUB_CLOCK_STEP_MS_MAX;
        machine.clock.step(Math.round(this.#chance.between(-ms, ms)));
        return Promise.resolve();
      }
      case 'restore':
        return this.#restore();
      case 'clone':
        return this.#clone();
      case 'damage':
        return this.#replace(() => agent.damage());
      case 'new epoch':
        agent.process?.openEpoch();
        return Promise.resolve();
      case 'two hubs':
        surroundings.note('a balancer takes turns');
        return this.#during(OUTAGE_MS_MAX, (now) => this.#simulation.balance(now));
      case 'files taken':
        return this.#touchFiles('take');
      case 'files emptied':
        return this.#touchFiles('empty');
      case 'hub damage':
        return this.#crashHub((hub) => hub.damage());
      case 'head moved':
        destination.moveHeads(HEAD_AHEAD_MS - this.#chance.between(0, OUTAGE_MS_MAX));
        return Promise.resolve();
      case 'wrong clock':
        return this.#replace(() => {});
      case 'wrong hub clock':
        return this.#crashHub(() => {});
    }
  }

  async #during(msMax: number, set: (now: boolean) => void): Promise<void> {
    set(true);
    await this.#simulation.surroundings.time.sleep(this.#chance.between(1000, msMax));
    set(false);
  }

  async #down(): Promise<void> {
    await this.#simulation.surroundings.time.sleep(this.#chance.between(0, DOWN_MS_MAX));
  }

  async #crashAgent(machine: AgentMachine): Promise<void> {
    if (this.#chance.maybe(0.3)) await this.#inTheMiddle(() => machine.crash());
    else {
      machine.crashAt = { kind: this.#chance.pick(MOMENTS), cuts: this.#chance.maybe(0.5) };
      await this.#simulation.surroundings.time.sleep(MOMENT_MS_MAX);
      if (machine.crashAt !== undefined) machine.crash();
    }
    await this.#down();
    machine.start();
  }

  /** At any moment, between a look at the files and the next write as well. */
  async #touchFiles(how: 'take' | 'empty'): Promise<void> {
    const { agent } = this.#simulation;
    if (this.#chance.maybe(0.5)) await this.#inTheMiddle(() => agent.touchFiles(how));
    else agent.touchAt = { kind: this.#chance.pick(MOMENTS), how };
  }

  async #crashHub(between: (hub: Simulation['hubs'][number]) => void): Promise<void> {
    const hub = this.#chance.pick(this.#simulation.hubs);
    await this.#inTheMiddle(() => {
      hub.crash();
      between(hub);
    });
    await this.#down();
    hub.start();
  }

  /** Crashes and restarts the agent; `between` happens to its disk meanwhile. */
  async #replace(between: () => void): Promise<void> {
    const { agent } = this.#simulation;
    agent.crash();
    between();
    await this.#down();
    agent.start();
  }

  /**
   * One at a time: a copy made before another restore would bring back what that one has taken, and
   * too late to be in order.
   */
  async #restore(): Promise<void> {
    if (this.#isRestoring) return;
    this.#isRestoring = true;
    const { agent, surroundings } = this.#simulation;
    const snapshot = agent.snapshot();
    await surroundings.time.sleep(this.#chance.between(1000, OUTAGE_MS_MAX));
    await this.#replace(() => agent.restore(snapshot));
    this.#isRestoring = false;
  }

  /** A second agent with the same id and a copy of the data, until somebody notices. */
  async #clone(): Promise<void> {
    const simulation = this.#simulation;
    if (simulation.isCloned) return;
    simulation.isCloned = true;
    const clone = simulation.clone(`clone-${++this.#clones}`);
    await this.#down();
    clone.start();
    const sending = new AbortController();
    const senders = simulation.send(clone, sending.signal);
    await simulation.surroundings.time.sleep(this.#chance.between(1000, OUTAGE_MS_MAX));
    if (this.#chance.maybe(0.5)) await this.#crashAgent(clone);
    sending.abort();
    await senders;
    clone.crash();
    simulation.ledger.forgive(clone.name, 0);
    await this.#replace(() => {});
    simulation.isCloned = false;
  }

  /** Calls `crash` in the middle of what one of the next timers sets off. */
  #inTheMiddle(crash: () => void): Promise<void> {
    const { time } = this.#simulation.surroundings;
    const turns = this.#chance.whole(0, TURNS_MAX);
    let steps = this.#chance.whole(0, STEPS_BEFORE_MAX);
    return new Promise((resolve) => {
      const look = (): void => {
        if (steps-- > 0) return;
        time.beforeStep.delete(look);
        void afterTurns(turns).then(crash).then(resolve);
      };
      time.beforeStep.add(look);
    });
  }
}

async function afterTurns(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await Promise.resolve();
}
