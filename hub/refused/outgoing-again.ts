import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import { WrittenSamples } from '../../proto/remote-write/written-samples.ts';
import { cutsAtRepeats, SeriesMarks } from '../../proto/series-marks.ts';
import type { KeptRequest } from '../refused-request.ts';

/** A kept request as it can be delivered again, in any version of remote write. */
export function outgoingAgain({ tenant, body }: KeptRequest): OutgoingRequest {
  const samples = new WrittenSamples(body);
  const all = Uint32Array.from({ length: samples.count }, (_, row) => row);
  return outgoing(tenant, samples, all);
}

function outgoing(tenant: string, samples: WrittenSamples, rows: Uint32Array): OutgoingRequest {
  const isExemplar = (row: number) => samples.isExemplar(rows[row]!);
  return {
    tenant,
    lane: 0,
    count: rows.length,
    mayBeRedelivered: false,
    isExemplar,
    seriesHash: (row) => samples.seriesHash(rows[row]!),
    timestampOf: (row) => samples.timestampOf(rows[row]!),
    cutsAtRepeats: (isOneExemplar) =>
      cutsAtRepeats(
        { count: rows.length, idOf: (row) => samples.idOf(rows[row]!), isExemplar },
        {
          samples: new SeriesMarks(),
          exemplars: isOneExemplar ? new SeriesMarks() : undefined,
        },
      ),
    select: (chosen) =>
      outgoing(
        tenant,
        samples,
        chosen.map((row) => rows[row]!),
      ),
    encode: (encoder, from, to) => samples.encode(encoder, rows.subarray(from, to)),
  };
}
