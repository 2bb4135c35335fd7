import { SampleColumns } from '../proto/sample-columns.ts';
import type { CapturedSamples, LabelTexts } from './captured-samples.ts';

/** The batches of an agent that gathers `spanMs` of arrivals in each. */
export function capturedBatches(samples: CapturedSamples, spanMs: number): SampleColumns[] {
  return samples.batches(spanMs).map(({ from, to }) => {
    const columns = new SampleColumns(to - from);
    columns.appendRows(samples.columns, from, to);
    return columns;
  });
}

/** By series id, the same number for series of the same job and instance. */
export function capturedGroupKeys(samples: CapturedSamples): number[] {
  const keys = new Map<string, number>();
  return samples.series.map(({ texts }) => {
    const target = JSON.stringify([textOf(texts, 'job'), textOf(texts, 'instance')]);
    const key = keys.get(target) ?? keys.size;
    keys.set(target, key);
    return key;
  });
}

function textOf(texts: LabelTexts, name: string): string | undefined {
  for (let at = 0; at < texts.length; at += 2) {
    if (texts[at] === name) return texts[at + 1];
  }
  return undefined;
}
