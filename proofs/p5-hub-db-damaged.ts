import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HubStore } from '../hub/store/hub-store.ts';
import { systemRandom } from '../base/random.ts';
const dir = mkdtempSync('/tmp/findings-run/reading/p5-');
const s = new HubStore(dir, systemRandom); s.addEntries('a', 1n, 0, [Buffer.from('x')]); s.setPositions('a', '', [{ run: 7n, first: 1, last: 10 }]); s.close();
const p = join(dir, 'hub.db'); const good = readFileSync(p);
const bad = Buffer.from(good); bad.fill(0x5a, 0, 100); writeFileSync(p, bad);
try { new HubStore(dir, systemRandom).close(); console.log('opened'); } catch (e: any) { console.log('hub.db with a damaged header: the hub does not start:', e.code, e.message); }
// a page in the middle
const bad2 = Buffer.from(good); bad2.fill(0x5a, 4096 * 3, 4096 * 4); writeFileSync(p, bad2);
try { const h = new HubStore(dir, systemRandom); console.log('opened with a damaged page; positions:'); try { console.log(h.positions('a')); } catch (e: any) { console.log('   every request of the agent:', e.code); } try { console.log([...h.entries('a')].length); } catch (e: any) { console.log('   entries', e.code); } console.log(h.state); h.close(); } catch (e: any) { console.log('damaged page: does not start:', e.code); }
// one flipped bit in positions.last
const at = good.indexOf(Buffer.from('0000000000000007')); console.log('run text at', at, [...good.subarray(at, at + 20)]);
const bad3 = Buffer.from(good); bad3[at + 16] ^= 0x40; writeFileSync(p, bad3);
{ const h = new HubStore(dir, systemRandom); console.log('one flipped bit ->', h.positions('a'), h.state); }
