import { z } from 'zod';
import { count, duration, section } from '../base/settings.ts';
import { formatDuration } from '../base/units.ts';

/** When a batch goes out. */
export interface BatchConfig {
  /** Absent: samples always wait `maxDelayMs` for others. */
  minDelayMs?: number;
  maxDelayMs: number;
  samplesMax: number;
}

const DELAY_MS = { min: 100, max: 300_000 };
const delay = () => duration(DELAY_MS);

const delays = section({ min: delay(), max: delay() }).superRefine(({ min, max }, context) => {
  if (min <= max) return;
  const message = `at most batch.max_delay.max, which is ${formatDuration(max)}`;
  context.addIssue({ code: 'custom', path: ['min'], message });
});

/** One duration, or a section with two: zod's unions say little of what is wrong with either. */
const oneOrTwoDelays = z
  .unknown()
  .transform((raw, context): Pick<BatchConfig, 'minDelayMs' | 'maxDelayMs'> => {
    const isSection = typeof raw === 'object' && !Array.isArray(raw);
    const read = isSection ? delays.safeParse(raw) : delay().safeParse(raw);
    if (read.success) {
      const { data } = read;
      if (typeof data === 'number') return { maxDelayMs: data };
      return { minDelayMs: data.min, maxDelayMs: data.max };
    }
    for (const issue of read.error.issues) {
      const message = isSection ? issue.message : `${issue.message}, or {min, max} of such`;
      context.addIssue({ ...issue, message });
    }
    return z.NEVER;
  })
  .meta({
    type: 'duration or {min, max}',
    limits: `${formatDuration(DELAY_MS.min)} to ${formatDuration(DELAY_MS.max)}`,
  });

export const batchSection = section({
  max_delay: oneOrTwoDelays
    .prefault('5s')
    .describe(
      'How long samples wait for company before a batch goes out. `{min: 5s, max: 1m}`, where bytes ' +
        'are paid for: beyond `min` they wait only while they are fewer bytes than what a batch ' +
        'costs beside them, and no longer than `max`.',
    ),
  max_samples: count({ min: 1, max: 1_000_000 })
    .prefault(100_000)
    .describe('A batch with this many samples goes out at once.'),
});

export function toBatchConfig(batch: z.infer<typeof batchSection>): BatchConfig {
  return { ...batch.max_delay, samplesMax: batch.max_samples };
}
