import type { SampleColumns } from '../proto/sample-columns.ts';
import type { BucketOptions } from './expand/buckets.ts';
import type { DictionaryCopy } from './expand/dictionary-copy.ts';
import { expandBatch } from './expand/expansion.ts';
import type { PreparedWrite, TenantWriter } from './receive/tenant-writer.ts';
import { createDelivery, type DeliveryTools } from './write/delivery.ts';
import { Lanes } from './write/lanes.ts';
import { limitedPost } from './write/permits.ts';

/**
 * Joins expand and write: the road of one agent's tenant from decoded samples to settled ones. As
 * many requests of it are in flight as `options.lanes` says, whatever the number of lanes in use.
 *
 * @param end gives up everything, attempts in flight included
 */
export function createWriter(
  { agent, tenant, named }: { agent: string; tenant: string; named: string },
  options: BucketOptions,
  delivery: DeliveryTools,
  end: AbortSignal,
): TenantWriter<DictionaryCopy> {
  const post = limitedPost(delivery.post, { all: options.lanes, perTenant: options.lanes });
  const lanes = new Lanes(createDelivery(agent, { ...delivery, post }), end);
  const prepare = (
    batch: { columns: SampleColumns; mayBeRedelivered: boolean },
    series: DictionaryCopy,
  ): { kind: 'prepared'; write: PreparedWrite } | { kind: 'malformed'; message: string } => {
    const expansion = expandBatch({ ...batch, tenant, named }, series, options);
    switch (expansion.kind) {
      case 'unknown_series':
      case 'foreign_series':
        return { kind: 'malformed', message: `${expansion.kind}: id ${expansion.id}` };
      case 'requests': {
        const { requests, heldBytes } = expansion;
        return {
          kind: 'prepared',
          write: { heldBytes, settle: () => lanes.settle(requests) },
        };
      }
    }
  };
  return {
    prepare,
    cancelQueued: () => lanes.cancelQueued(),
    idle: () => lanes.idle(),
  };
}
