import { fileURLToPath } from 'node:url';
import { loadAgentConfig } from '../agent/config.ts';
import type { SeriesRulesConfig } from '../agent/series-rules.ts';

const HOST = { hostName: 'bench', inKubernetes: false };

/** Filters as an operator writes them, with all limits. @throws Error naming what is wrong */
export function ingestFilters(): { name: string; config: SeriesRulesConfig }[] {
  return [
    { name: 'filters that keep all', config: load('filters-that-keep.yml') },
    { name: 'filters that drop some', config: load('filters-that-drop.yml') },
  ];
}

function load(name: string): SeriesRulesConfig {
  const path = fileURLToPath(new URL(`./data/${name}`, import.meta.url));
  const loaded = loadAgentConfig(path, HOST);
  if (loaded.kind === 'errors') throw new Error(loaded.lines.join('\n'));
  return loaded.value;
}
