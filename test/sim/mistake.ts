import type { Semantics } from '../tools/checked-samples.ts';
import type { Parts } from './parts.ts';
import type { EventName, Plan } from './plan.ts';

/** A mistake that somebody could make, put between the shipped parts. */
export interface Mistake {
  parts?: Partial<Parts>;
  /** For mistakes inside a part: changes it, and returns what changes it back. */
  install?(): () => void;
  /** Makes the faults likely that the mistake cannot stand. */
  plan(drawn: Plan): Plan;
}

/** Plans in which these events happen often, and no other. */
export function often(...events: EventName[]): (drawn: Plan) => Plan {
  return (drawn) => ({ ...drawn, events, eventEveryMs: 6000, faultsMs: 120_000 });
}

/** The plan with another destination; what only a Cortex gets is left out before the others. */
export function towards(semantics: Semantics, drawn: Plan): Plan {
  const none = { clusters: false, exemplarEvery: 0, timestampEvery: 0 };
  return {
    ...drawn,
    order: semantics === 'accepting' ? drawn.order : 'oldest_first',
    odd: semantics === 'cortex' ? drawn.odd : none,
    destination: { ...drawn.destination, semantics, refusedEvery: 0 },
  };
}
