import { type Settlement, settledCount } from '../../proto/settlement.ts';
import { bitsOf, type Ledger, type SentSample, sampleKey } from './ledger.ts';
import { isRefused, type Memory } from './memory.ts';
import { isExemplarKey } from './numbered-objects.ts';
import type { Plan } from './plan.ts';
import type { RefusedSamples } from './refused-samples.ts';
import { destinationTenant, STARTS_AT_MS } from './surroundings.ts';

/** Nobody can expect anything of an agent that goes by the clock of a hub that is more wrong. */
const HUB_CLOCK_ERROR_MS_MAX = 1000;
/** The hub confirms a clock that is a minute off; answers are under way for a while. */
const AGE_TOLERANCE_MS = 65_000;

export interface Evidence {
  plan: Plan;
  ledger: Ledger;
  destination: Memory;
  refused: RefusedSamples;
  /** All that hubs have reported, whether an agent has heard it or not. */
  settled: Settlement;
  /** Samples that wait in the agent because the destination would refuse them. */
  parked: number;
  /** How wrong the clock of a hub has been at the worst, in ms. */
  hubClockErrorMs: number;
}

/**
 * What became of every sample once the system has come to rest; one line for each promise broken.
 *
 * Every acknowledged sample is at the destination, under its own labels and tenant and bit for bit,
 * each series in order; or an agent has reported it lost, or the destination has refused it.
 */
export function check(evidence: Evidence): string[] {
  return [
    ...strangers(evidence),
    ...missing(evidence),
    ...misjudged(evidence),
    ...outOfOrder(evidence),
    ...groundless(evidence),
    ...refusedByClock(evidence),
    ...evictedByClock(evidence),
  ];
}

/** Samples that nobody has sent like this: wrong labels, wrong tenant, or other bits. */
function strangers({ plan, ledger, destination }: Evidence): string[] {
  const found: string[] = [];
  for (const tenant of plan.tenants.map(destinationTenant)) {
    for (const [series, stored] of destination.ofTenant(tenant)) {
      if (series.includes('of_another_writer')) continue;
      for (const { timestamp, bits } of stored) {
        const sent = ledger.samples.get(sampleKey(tenant, series, timestamp));
        if (sent !== undefined && bitsOf(sent) === bits) continue;
        found.push(`nobody sent ${bits.toString(16)} at ${timestamp} of ${series} to ${tenant}`);
      }
    }
  }
  return shorten(found);
}

function missing(evidence: Evidence): string[] {
  const { plan, ledger, refused, settled, parked } = evidence;
  const found: string[] = [];
  // What one copy of a buffer has parked of a segment goes with the rest of it in another copy.
  const isCopied = hasAny(plan, ['clone', 'restore']);
  let accounted = 0;
  for (const [key, sample] of unstored(evidence)) {
    if (ledger.isReportedLost(sample)) accounted++;
    else if (!mayBeRefused(sample, evidence)) found.push(`missing ${describe(sample)}`);
    else if (refused.has(key)) accounted++;
    else if (isCopied && sample.series.kind !== 'exemplar') continue;
    else if (parked > 0 && sample.oddity !== 'exemplar') accounted++;
    else found.push(`refused, and nobody says so: ${describe(sample)}`);
  }
  const lost = ledger.losses.reduce((sum, loss) => sum + loss.samples, 0);
  const settledRefused = settledCount(settled) - settled.accepted - settled.deduplicated;
  const differences = shorten(found);
  if (accounted > lost + settledRefused + parked) {
    const counted = `${lost}, ${settledRefused} and ${parked} counted`;
    differences.push(`${accounted} samples lost, refused or parked, ${counted}`);
  }
  return differences;
}

/** Acknowledged samples that are not at the destination, by their keys. */
function* unstored({
  plan,
  ledger,
  destination,
}: Pick<Evidence, 'plan' | 'ledger' | 'destination'>): Generator<[string, SentSample]> {
  const stored = storedKeys(plan, destination);
  for (const [key, sample] of ledger.samples) {
    if (sample.acknowledgedAs === undefined || sample.isForgiven || stored.has(key)) continue;
    yield [key, sample];
  }
}

/** Whether the destination has a reason to refuse this very sample. */
function mayBeRefused(
  sample: SentSample,
  { plan, destination }: Pick<Evidence, 'plan' | 'destination'>,
): boolean {
  const { series, low, oddity, timestamp } = sample;
  if (oddity !== undefined || isRefused(low, plan.destination.refusedEvery)) return true;
  // An exemplar is refused as well when another one, or its series, is not there before it.
  if (series.kind === 'exemplar' && plan.destination.semantics === 'cortex') return true;
  if (isBlocked(sample, plan) && plan.blockade?.how === 'clusters') return true;
  const oldest = destination.oldestAccepted(destinationTenant(series.tenant));
  return oldest !== undefined && timestamp < oldest;
}

/**
 * Nothing that a hub is sure to have been refused is at the destination; where nobody but this hub
 * can have written it, not even what is refused as being behind.
 */
function misjudged({ plan, destination, refused }: Evidence): string[] {
  const stored = storedKeys(plan, destination);
  const { timeout, broken, failing } = plan.destination.faults;
  const isAlone =
    plan.link.late + plan.link.twice + timeout + broken + failing === 0 &&
    !hasAny(plan, ['clone', 'restore', 'two hubs', 'hub crash', 'hub data deleted', 'hub damage']);
  const claims = isAlone ? [...refused.certain, ...refused.behind] : [...refused.certain];
  // What is refused of exemplars for want of a series is taken once that is there.
  const found = claims.filter((key) => stored.has(key) && !isExemplarKey(key));
  const lies = shorten(found.map((key) => `counted as refused, and stored: ${key}`));
  const isSearched = plan.hub.searchesPerMinute > 0;
  if (isSearched && refused.unknown.size > 0)
    lies.push(`${refused.unknown.size} samples may be refused`);
  return lies;
}

/** Whether the destination takes nothing of this kind while the blockade lasts. */
function isBlocked({ series }: SentSample, { blockade }: Plan): boolean {
  if (series.tenant !== blockade?.tenant) return false;
  return blockade.how !== 'clusters' || series.cluster !== undefined;
}

/** Samples that nobody blocks, and that have not arrived; a line each. */
export function heldUp(
  evidence: Pick<Evidence, 'plan' | 'ledger' | 'destination' | 'refused'>,
): string[] {
  const { plan, ledger, refused } = evidence;
  const found: string[] = [];
  for (const [key, sample] of unstored(evidence)) {
    if (isBlocked(sample, plan) || mayBeRefused(sample, evidence)) continue;
    if (refused.has(key) || ledger.isReportedLost(sample)) continue;
    found.push(`held up by its neighbour: ${describe(sample)}`);
  }
  return found;
}

/**
 * A lost sample that arrives all the same is out of order where requests are late or hubs take
 * turns: the agent goes on without it while somebody else still holds it. So is one that was
 * damaged and comes back with an older copy.
 */
function outOfOrder({ plan, ledger, destination }: Evidence): string[] {
  if (plan.order === 'live_first') return [];
  const isOldDamaged = hasAny(plan, ['restore']) && hasAny(plan, ['damage', 'files emptied']);
  const mayBeHeld =
    plan.link.late > 0 ||
    plan.link.twice > 0 ||
    hasAny(plan, ['two hubs', 'clone']) ||
    isOldDamaged;
  const found: string[] = [];
  for (const { tenant, series, timestamp, newest } of destination.outOfOrder) {
    const sent = ledger.samples.get(sampleKey(tenant, series, timestamp));
    if (sent === undefined) continue;
    if (mayBeHeld && (sent.isForgiven || ledger.isReportedLost(sent))) continue;
    if (hasAny(plan, ['restore']) && ledger.isReportedLost(sent)) continue;
    found.push(`out of order, behind ${newest}: ${describe(sent)}`);
  }
  return shorten(found);
}

/** Where nobody has touched the files of a buffer nothing may get lost in it. */
function groundless({ plan, ledger }: Evidence): string[] {
  if (hasAny(plan, ['damage', 'files emptied'])) return [];
  const lost = ledger.losses.filter(
    ({ reason, isExcused }) => !isExcused && (reason === 'damaged' || reason === 'vanished'),
  );
  return shorten(lost.map(({ reason, tenant, samples }) => `${samples} of ${tenant} ${reason}`));
}

/** Samples of the time at which they were sent: only a wrong clock can find them too new. */
function refusedByClock({ ledger, hubClockErrorMs }: Evidence): string[] {
  if (hubClockErrorMs > HUB_CLOCK_ERROR_MS_MAX) return [];
  const right = ledger.refused.filter(({ oddity }) => oddity === undefined);
  return shorten(right.map((sample) => `refused for a clock: ${describe(sample)}`));
}

/** By the clock of the hub no sample may be evicted for its age before it has that age. */
function evictedByClock({ plan, ledger, hubClockErrorMs }: Evidence): string[] {
  if (hubClockErrorMs > HUB_CLOCK_ERROR_MS_MAX || plan.odd.timestampEvery > 0) return [];
  const found: string[] = [];
  for (const { reason, tenant, samples, newest, elapsedMs } of ledger.losses) {
    const ageMs = STARTS_AT_MS + elapsedMs - newest;
    if (reason !== 'age' || ageMs > plan.buffer.ageMaxMs - AGE_TOLERANCE_MS) continue;
    found.push(`${samples} of ${tenant} evicted for their age, ${Math.round(ageMs)} ms`);
  }
  return shorten(found);
}

function hasAny(plan: Plan, events: readonly Plan['events'][number][]): boolean {
  return events.some((event) => plan.events.includes(event));
}

function storedKeys(plan: Plan, destination: Memory): Set<string> {
  const keys = new Set<string>();
  for (const tenant of plan.tenants.map(destinationTenant)) {
    for (const [series, stored] of destination.ofTenant(tenant)) {
      for (const { timestamp } of stored) keys.add(sampleKey(tenant, series, timestamp));
    }
  }
  return keys;
}

function describe({ series, timestamp, low, machine }: SentSample): string {
  const tenant = destinationTenant(series.tenant);
  return `sample ${low} of ${machine} at ${timestamp}: ${series.name} of ${tenant}`;
}

const LINES_MAX = 5;

export function shorten(lines: readonly string[]): string[] {
  if (lines.length <= LINES_MAX) return [...lines];
  return [...lines.slice(0, LINES_MAX), `and ${lines.length - LINES_MAX} more like the last one`];
}
