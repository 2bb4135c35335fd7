import { systemClock } from '../../base/clock.ts';
import { parseTextFormat } from '../../demo/text-format.ts';
import { until } from '../../test/tools/until.ts';
import type { LinkSettings, LinkStep } from './bad-link.ts';
import { CONTENDERS, type Contender, contenderNamed } from './contenders.ts';
import { CLEAN, describeSettings, LINKS, type Link, linkNamed } from './links.ts';
import { DEAD_FIRST_NAME, DEAD_LAST_NAME } from './namespaces.ts';
import type { Running } from './run.ts';
import { type StarferryOptions, startStarferry } from './starferry.ts';

/** One contender on one link, as a scenario wants it. */
export interface Case {
  scenario: ScenarioName;
  link: string;
  /** The link and what becomes of it, for people. */
  like: string;
  contender: Contender;
  settings: LinkSettings;
  /** How long samples are taken, unless a flag says otherwise. */
  seconds: number;
  /** Undefined: as many as the capture has. */
  series?: number;
  /** What changes in a run of so many seconds. */
  steps(seconds: number): LinkStep[];
  drainSeconds: number;
  /** From when on it is counted what is sent twice, in a run of so many seconds. */
  countSendsFrom?(seconds: number): number;
  beforeDrain?(run: Running): Promise<void>;
  /** Cases that need the whole machine run alone. */
  alone: boolean;
}

export const SCENARIOS = {
  table: 'every contender on every link, at the pace of the capture',
  slow: '16 kbit/s with 53,143 series and 8 kbit/s with 20,000, after 3 minutes without a link',
  recover: 'link c with 212,000 series, after a minute without a link',
  packs: 'a backlog of 212,000 series, nothing else on the link',
  nginx: 'an nginx before the hub that takes bodies up to 16 kB',
  addresses: "a hub's name with two addresses, one of them dead, and a handshake of a second",
} as const;

export type ScenarioName = keyof typeof SCENARIOS;

const TABLE_DRAIN_SECONDS = 120;
const PACKED_MS_MAX = 600_000;
const PACKED_QUIET_SECONDS = 20;

/** The cases of a scenario, those of `table` for some links and contenders only. */
export function casesOf(
  scenario: ScenarioName,
  only: { links: readonly string[]; contenders: readonly string[] },
): Case[] {
  switch (scenario) {
    case 'table': {
      const links = only.links.length === 0 ? LINKS : only.links.map(linkNamed);
      const contenders =
        only.contenders.length === 0 ? CONTENDERS : only.contenders.map(contenderNamed);
      return links.flatMap((link) => contenders.map((contender) => tableCase(link, contender)));
    }
    case 'slow':
      return [slowCase('16k', 16e3, 53_143), slowCase('8k', 8e3, 20_000)];
    case 'recover':
      return [recoverCase()];
    case 'packs':
      return [packsCase()];
    case 'nginx':
      return [wayCase(scenario, 'nginx', { before: 'nginx' }, 0.15)];
    case 'addresses':
      return [
        wayCase(scenario, 'dead first', { hubName: DEAD_FIRST_NAME }, 0.5),
        wayCase(scenario, 'dead last', { hubName: DEAD_LAST_NAME }, 0.5),
      ];
  }
}

function tableCase(link: Link, contender: Contender): Case {
  return {
    scenario: 'table',
    link: link.name,
    like: `${link.like}: ${describeSettings(link.settings)}`,
    contender,
    settings: link.settings,
    seconds: link.seconds,
    steps: (seconds) => link.steps(seconds),
    drainSeconds: TABLE_DRAIN_SECONDS,
    alone: false,
  };
}

/** The dictionary crosses a clean link, then there is none, then a slow one. */
function slowCase(link: string, rate: number, series: number): Case {
  const settings: LinkSettings = { rate, delay: 0.3, queue: 16_000, loss: 0.01, burst: 4 };
  const [cut, back, total] = [120, 300, 900];
  return {
    scenario: 'slow',
    link,
    like: `${describeSettings(settings)}; clean to ${cut} s, none to ${back} s`,
    contender: starferry('starferry', 'Starferry', { before: 'counter' }),
    settings: CLEAN,
    ...{ seconds: total, series },
    steps: (seconds) => [
      [(seconds * cut) / total, { ...settings, up: false }],
      [(seconds * back) / total, { up: true }],
    ],
    drainSeconds: 120,
    countSendsFrom: (seconds) => (seconds * back) / total,
    alone: true,
  };
}

/** Warm on a clean link, then link c, which is cut for a minute. */
function recoverCase(): Case {
  const { settings } = linkNamed('c');
  const [poor, cut, back, total] = [120, 150, 210, 450];
  return {
    scenario: 'recover',
    link: 'c',
    like: `${describeSettings(settings)}; clean to ${poor} s, none from ${cut} s to ${back} s`,
    contender: contenderNamed('starferry'),
    settings: CLEAN,
    ...{ seconds: total, series: 212_000 },
    steps: (seconds) => {
      const at = (second: number) => (seconds * second) / total;
      return [
        [at(poor), settings],
        [at(cut), { up: false }],
        [at(back), { up: true }],
      ];
    },
    drainSeconds: 120,
    alone: true,
  };
}

/** What is taken after the cut waits until it is packed and then has the link to itself. */
function packsCase(): Case {
  const [cut, total] = [120, 420];
  return {
    scenario: 'packs',
    link: 'clean',
    like: `${describeSettings(CLEAN)}; none from ${cut} s until all is taken and packed`,
    contender: contenderNamed('starferry'),
    settings: CLEAN,
    ...{ seconds: total, series: 212_000 },
    steps: (seconds) => [[(seconds * cut) / total, { up: false }]],
    drainSeconds: 300,
    beforeDrain: async (run) => {
      await becomePacked(run);
      run.link.take([[0, { up: true }]]);
    },
    alone: true,
  };
}

/** Something on the way to the hub; the link itself is a mild one. */
function wayCase(scenario: ScenarioName, link: string, way: StarferryOptions, delay: number): Case {
  const settings: LinkSettings = { rate: 1e6, delay, queue: 64_000 };
  return {
    ...{ scenario, link },
    like: describeSettings(settings),
    contender: starferry('starferry', 'Starferry', way),
    settings,
    ...{ seconds: 120, series: 20_000 },
    steps: () => [],
    drainSeconds: 120,
    alone: true,
  };
}

function starferry(name: string, title: string, options: StarferryOptions): Contender {
  return { name, title, start: (place) => startStarferry(place, options) };
}

/** What is newest waits for company: all is packed once there are no more packs for a while. */
async function becomePacked({ near, sender }: Running): Promise<void> {
  let packedBefore = 0;
  let quietSeconds = 0;
  await until('the backlog to be packed', PACKED_MS_MAX, async () => {
    await systemClock.sleep(1000);
    const page = await near.call('get', new URL('/metrics', sender.pushUrl).href);
    const parsed = parseTextFormat(page.text);
    if (parsed.kind !== 'page') return false;
    const name = 'starferry_agent_buffer_packed_samples';
    const packed = parsed.metrics.find((one) => one.name === name)?.value ?? 0;
    quietSeconds = packed === packedBefore && packed > 0 ? quietSeconds + 1 : 0;
    packedBefore = packed;
    return quietSeconds >= PACKED_QUIET_SECONDS;
  });
}
