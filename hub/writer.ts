import type { SampleColumns } from '../proto/sample-columns.ts';
import type { BucketOptions } from './expand/buckets.ts';
import type { DictionaryCopy } from './expand/dictionary-copy.ts';
import { expandBatch } from './expand/expansion.ts';
import type { PreparedWrite, TenantWriter } from './receive/tenant-writer.ts';
import type { Lanes } from './write/lanes.ts';

/** Joins expand and write: the road of one agent's tenant from decoded samples to settled ones. */
export function createWriter(
  { tenant, named }: { tenant: string; named: string },
  options: BucketOptions,
  lanes: Lanes,
): TenantWriter<DictionaryCopy> {
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
