// Loaded into a program before itself: its clock is wrong by what a file says, read anew at most
// every tenth of a second. Timers are not affected, as when a machine's clock is set.
import { readFileSync } from 'node:fs';

const rightNow = Date.now.bind(Date);
let shiftMs = 0;
let readAtMs = Number.NEGATIVE_INFINITY;

Date.now = () => {
  const now = rightNow();
  if (Math.abs(now - readAtMs) > 100) {
    readAtMs = now;
    shiftMs = Number(readFileSync(process.env.CLOCK_SHIFT_FILE, 'utf8'));
  }
  return now + shiftMs;
};
