import type { RefusedRequest } from '../../hub/refused-request.ts';
import { WriteRequestEncoder } from '../../proto/remote-write/encoder-1.ts';
import { labelBytes } from './series-fixture.ts';

/** Series name, timestamp and the value's bits of a sample. */
export type Row = readonly [string, number, bigint];

/** A signalling NaN, which a careless copy turns quiet. */
export const STALE = 0x7ff0_0000_0000_0002n;
export const NEGATIVE_ZERO = 0x8000_0000_0000_0000n;

/** A body as the hub writes it: neighbours of one series share a TimeSeries. */
export function bodyOf(rows: readonly Row[]): Uint8Array {
  const encoder = new WriteRequestEncoder();
  let previous: string | undefined;
  for (const [name, timestamp, bits] of rows) {
    const labels = labelBytes({ __name__: name });
    if (name !== previous) encoder.series(labels, 0, labels.length);
    previous = name;
    encoder.sample(timestamp, Number(bits & 0xffff_ffffn), Number(bits >> 32n));
  }
  return encoder.finish();
}

/** A refusal with something in every field. */
export function refusal(over: Partial<RefusedRequest> = {}): RefusedRequest {
  return {
    agent: 'sg',
    tenant: 'overseas',
    reason: 'out_of_order',
    message: '400 out of order sample. timestamp=1, series={a="b"}',
    refused: 1,
    unknown: 1,
    body: bodyOf([
      ['up', 1_700_000_000_000, 1n],
      ['down', 1_700_000_015_000, STALE],
    ]),
    ...over,
  };
}
