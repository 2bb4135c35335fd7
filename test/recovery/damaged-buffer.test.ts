import { damagesWhileRunning, damagesWhileStopped, describeDamages } from './damaged-buffer.ts';

// One of each; the others take longer, see damaged-buffer.long.test.ts.
describeDamages(damagesWhileRunning.slice(0, 1), damagesWhileStopped.slice(0, 1));
