import { damagesWhileRunning, damagesWhileStopped, describeDamages } from './damaged-buffer.ts';

describeDamages(damagesWhileRunning.slice(1), damagesWhileStopped.slice(1));
