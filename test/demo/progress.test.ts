import { describe, expect, it } from 'vitest';
import { formatProgress, readProgress } from '../../demo/progress.ts';
import { parseTextFormat } from '../../demo/text-format.ts';

function lineOf(page: string): string {
  const parsed = parseTextFormat(page);
  if (parsed.kind === 'unreadable') throw new Error(parsed.line);
  return formatProgress(readProgress(parsed.metrics));
}

describe('the progress line', () => {
  it('compares bytes per sample on the border with those of the bodies that came in', () => {
    const line = lineOf(`
starferry_agent_received_samples_total 2000
starferry_agent_received_bytes_total 40000
starferry_agent_acknowledged_samples_total 1000
starferry_agent_link_bytes_total{direction="up"} 1500
starferry_agent_link_bytes_total{direction="down"} 500
starferry_hub_agent_lag_seconds{agent="demo",tenant="anonymous"} 1.5
starferry_hub_agent_lag_seconds{agent="demo",tenant="other"} 4.25
`);
    expect(line).toBe(
      '2,000 samples in | 1,000 delivered | border 1.5 kB up, 0.5 kB down | 2.00 B/sample | ' +
        '10.0 times less than remote write 1.0 | lag 4.3 s',
    );
  });

  it('leaves out what cannot be said before the first answer', () => {
    expect(lineOf('starferry_agent_received_samples_total 5\n')).toBe(
      '5 samples in | 0 delivered | border 0.0 kB up, 0.0 kB down',
    );
  });
});
