import { mkdtempSync } from 'node:fs';
import { HubStore } from '../hub/store/hub-store.ts';
import { systemRandom } from '../base/random.ts';
const dir = mkdtempSync('/tmp/findings-run/reading/p7-');
const s = new HubStore(dir, systemRandom);
for (const n of [10, 100, 300]) {
  const times: number[] = [];
  for (let round = 1; round <= 5; round++) { const t = performance.now(); s.together(() => { for (let i = 0; i < n; i++) s.setPositions(`agent${i}`, '', [{ run: 7n, first: 1, last: round }]); }); times.push(performance.now() - t); }
  times.sort((a, b) => a - b);
  console.log(`${n} agents: save() blocks the hub's only thread ${times[2]!.toFixed(0)} ms of every second (median of 5, max ${times[4]!.toFixed(0)})`);
}
