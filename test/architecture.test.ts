import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const FOLDERS = ['agent', 'base', 'bench', 'cli', 'demo', 'hub', 'proto', 'scripts', 'test'];
const LINES_MAX = 350;

interface Source {
  /** Relative to the checkout, with `/`. */
  path: string;
  text: string;
}

function sources(): Source[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
      .filter((path) => path.endsWith('.ts'))
      .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') })),
  );
}

/** Which folders the files of a folder may import; those not listed may import anything. */
const ALLOWED = new Map([
  ['base', ['base']],
  ['proto', ['proto', 'base']],
  ['agent', ['agent', 'proto', 'base']],
  ['hub', ['hub', 'proto', 'base']],
  ['demo', ['demo', 'agent', 'hub', 'proto', 'base']],
]);

/** Every import of another file of the project, static, dynamic or a worker's entry. */
function imports({ path, text }: Source): string[] {
  const specifier = /(?:\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*)['"](\.{1,2}\/[^'"]*)['"]/g;
  return [...text.matchAll(specifier)]
    .map(([, target = '']) => posix.join(posix.dirname(path), target))
    .filter((target) => target.endsWith('.ts'));
}

/** Rooms that are a single file; every folder in agent/ or hub/ is a room as well. */
const SINGLE_FILE_ROOMS = new Set(['agent/filter', 'agent/election', 'hub/agents']);

/** The room that a file of agent/ or hub/ lies in, undefined for what lies beside the rooms. */
function roomOf(path: string): string | undefined {
  const [folder = '', name = '', ...inner] = path.split('/');
  if (folder !== 'agent' && folder !== 'hub') return undefined;
  const room = `${folder}/${name.replace(/\.ts$/, '')}`;
  return inner.length > 0 || SINGLE_FILE_ROOMS.has(room) ? room : undefined;
}

/** Files beside the rooms that join them: whoever imports one has every room it joins. */
function jointsOf(all: readonly Source[]): Set<string> {
  const joints = new Set<string>();
  const joins = (target: string) => roomOf(target) !== undefined || joints.has(target);
  for (let known = -1; known < joints.size; ) {
    known = joints.size;
    for (const source of all) {
      if (roomOf(source.path) === undefined && imports(source).some(joins)) joints.add(source.path);
    }
  }
  return joints;
}

/** One line for every import that goes against the direction or into a neighbour's room. */
function trespasses(source: Source, joints: ReadonlySet<string>): string[] {
  const folder = source.path.split('/')[0] ?? '';
  const room = roomOf(source.path);
  return imports(source).flatMap((target) => {
    const targetFolder = target.split('/')[0] ?? '';
    const targetRoom = roomOf(target);
    if (ALLOWED.get(folder)?.includes(targetFolder) === false) {
      return [`${source.path} imports ${target}: ${folder}/ may not import ${targetFolder}/`];
    }
    if (room === undefined || room === targetRoom) return [];
    const isNeighbour = targetRoom !== undefined || joints.has(target);
    return isNeighbour ? [`${source.path} imports ${target}: main.ts joins the rooms`] : [];
  });
}

test('imports run one way and rooms do not import their neighbours', () => {
  const all = sources();
  const joints = jointsOf(all);
  expect(joints).toContain('agent/main.ts');
  expect(all.flatMap((source) => trespasses(source, joints))).toEqual([]);
});

test('every import of the project is seen: as many as there are lines that name one', () => {
  const unseen = sources().filter(({ path, text }) => {
    const named = text.match(/from '\.{1,2}\/[^']*\.ts'/g)?.length ?? 0;
    return named > imports({ path, text }).length;
  });
  expect(unseen.map(({ path }) => path)).toEqual([]);
});

test.each([
  ['agent/ship.ts', "import { Hub } from '../hub/main.ts';", 'agent/ may not import hub/'],
  ['hub/main.ts', "import type { A } from '../agent/config.ts';", 'hub/ may not import agent/'],
  ['proto/batch.ts', "export * from '../agent/config.ts';", 'proto/ may not import agent/'],
  ['base/log.ts', "const b = await import('../proto/batch.ts');", 'base/ may not import proto/'],
  ['agent/ship/loop.ts', "import { B } from '../buffer/buffer.ts';", 'main.ts joins the rooms'],
  ['agent/ship/loop.ts', "import { F } from '../filter.ts';", 'main.ts joins the rooms'],
  ['hub/write/lane.ts', "import '../agents.ts';", 'main.ts joins the rooms'],
  ['agent/status/page.ts', "import { run } from '../main.ts';", 'main.ts joins the rooms'],
  ['agent/ship/a.ts', "new Worker(new URL('../buffer/w.ts', import.meta.url))", 'main.ts joins'],
])('%s with %j is found', (path, text, reason) => {
  expect(trespasses({ path, text }, new Set(['agent/main.ts']))).toEqual([
    expect.stringContaining(reason),
  ]);
});

test('a file that joins rooms at second hand is a joint as well', () => {
  const all = [
    { path: 'hub/writer.ts', text: "import { L } from './write/lanes.ts';" },
    { path: 'hub/wrapper.ts', text: "import { w } from './writer.ts';" },
    { path: 'hub/config.ts', text: "import { z } from '../base/settings.ts';" },
  ];
  expect([...jointsOf(all)].sort()).toEqual(['hub/wrapper.ts', 'hub/writer.ts']);
});

test.each([
  ['agent/main.ts', "import { B } from './buffer/buffer.ts';\nimport { S } from './ship.ts';"],
  ['agent/ship/loop.ts', "import { d } from './dial.ts';\nimport { c } from '../config.ts';"],
  ['agent/ship/loop.ts', "import { b } from '../../proto/batch.ts';"],
  ['cli/agent.ts', "import { runAgent } from '../agent/main.ts';"],
])('%s with %j is fine', (path, text) => {
  expect(trespasses({ path, text }, new Set(['agent/main.ts']))).toEqual([]);
});

test(`no file is longer than ${LINES_MAX} lines`, () => {
  const long = sources().filter(({ text }) => text.trimEnd().split('\n').length > LINES_MAX);
  expect(long.map(({ path }) => path)).toEqual([]);
});
