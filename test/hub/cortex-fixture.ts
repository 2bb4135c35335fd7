import { Destination } from '../../hub/write/destination.ts';
import type { OutgoingRequest } from '../../proto/remote-write/encoder-1.ts';
import type { WriteProtocol } from '../../proto/remote-write/write-encoder.ts';
import { SampleColumns } from '../../proto/sample-columns.ts';
import { addSettlement, emptySettlement, type Settlement } from '../../proto/settlement.ts';
import { histogramBytes } from '../proto/objects/columns-fixture.ts';
import type { CortexLimits } from '../tools/cortex/limits.ts';
import { startCortexDestination } from '../tools/cortex-destination.ts';
import type { Workspace } from '../tools/workspace.ts';
import { appendSeries, newDictionary } from './series-fixture.ts';
import { type RequestOptions, requestsOf, rig } from './write-fixture.ts';

/** An exemplar to be: its labels as bytes, and when. */
export interface WrittenExemplar {
  exemplar: Uint8Array;
  at: number;
}

/** A native histogram to be, of so many observations. */
export interface WrittenHistogram {
  histogram: number;
  schema?: number;
  at: number;
}

/** A row of a batch: the labels of its series beside the name, and the time of a float or more. */
export type BatchRow = [
  name: string,
  what: number | WrittenExemplar | WrittenHistogram,
  labels?: Record<string, string>,
];

export interface CortexChainOptions {
  limits?: Partial<CortexLimits>;
  protocol?: WriteProtocol;
  searchesPerMinute?: number;
  now?: () => number;
}

/** The hub's writer before a Cortex, over HTTP. */
export async function cortexChain(workspace: Workspace, options: CortexChainOptions = {}) {
  const { limits = {}, protocol = 'v1', searchesPerMinute = 6000, now = Date.now } = options;
  const cortex = await startCortexDestination({ limits, now });
  const sender = new Destination({
    url: cortex.url,
    tenantHeader: 'X-Scope-OrgID',
    timeoutMs: 5000,
    connectTimeoutMs: 5000,
    inFlightMax: 4,
    version: '0.0.0',
  });
  workspace.onClose(() => sender.close().then(() => cortex.close()));
  const tools = rig('cortex', sender.post, { protocol, searchesPerMinute });
  const copy = newDictionary();
  const ids = new Map<string, number>();

  const requests = (rows: readonly BatchRow[], more?: RequestOptions): OutgoingRequest[] => {
    const columns = new SampleColumns();
    for (const [name, what, labels = {}] of rows) {
      const key = JSON.stringify([name, labels]);
      const id = ids.get(key) ?? appendSeries(copy, 'a', { __name__: name, ...labels });
      ids.set(key, id);
      if (typeof what === 'number') columns.push(id, what, 0, 0);
      else if ('exemplar' in what) columns.pushObject('exemplar', id, what.at, what.exemplar);
      else {
        const { histogram, schema = 3, at } = what;
        columns.pushObject('histogram', id, at, histogramBytes(schema, 1, histogram));
      }
    }
    return requestsOf(copy, columns, more);
  };
  return {
    ...tools,
    cortex,
    /** What becomes of a batch. */
    async settle(rows: readonly BatchRow[], more?: RequestOptions): Promise<Settlement> {
      const { signal } = new AbortController();
      const sum = emptySettlement();
      for (const request of requests(rows, more)) {
        const result = await tools.deliver(request, { cancel: signal, end: signal });
        if (result.kind !== 'settled') throw new Error(result.kind);
        addSettlement(sum, result.settlement);
      }
      return sum;
    },
  };
}

/** Counts that are 0 may be left out. */
export function settled(counts: Partial<Omit<Settlement, 'refused'>> & { refused?: object } = {}) {
  const { refused = {}, ...rest } = counts;
  return { ...emptySettlement(), ...rest, refused: new Map(Object.entries(refused)) };
}
