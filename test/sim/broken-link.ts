import { decodeBatch } from '../../proto/batch.ts';
import { emptySettlement } from '../../proto/settlement.ts';
import { decompressFrame } from '../../proto/zstd.ts';
import type { Mistake } from './mistake.ts';

const FRAME_BYTES_MAX = 2 ** 24;

/** A batch in which nothing moves is taken for delivered because the hub answers elsewhere. */
export const believeStalled: Mistake = {
  parts: {
    link: (link) => ({
      postBatch: async (...request) => {
        const reply = await link.postBatch(...request);
        if (reply.kind !== 'unreachable' || reply.isOver !== true) return reply;
        const batch = decodeBatch(decompressFrame(request[0], FRAME_BYTES_MAX));
        const accepted = batch.lane === 'live' || batch.lane === 'pack' ? batch.samplesCount : 0;
        const settlement = { ...emptySettlement(), accepted };
        return { kind: 'answer', answer: { settlement, dictionaryOffset: 0, hubClockMs: 0 } };
      },
      askPositions: (signal) => link.askPositions(signal),
      bodyBytes: (traffic) => link.bodyBytes(traffic),
      atOnce: (traffic) => link.atOnce(traffic),
    }),
  },
  plan: (drawn) => ({ ...drawn, link: { ...drawn.link, stalled: 0.3 }, events: [] }),
};
