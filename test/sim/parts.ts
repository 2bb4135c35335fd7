import { Buffer as SampleBuffer } from '../../agent/buffer/buffer.ts';
import { GroupCommit } from '../../agent/buffer/group-commit.ts';
import { aheadMax } from '../../agent/hub-clock.ts';
import type { SampleLog } from '../../agent/ship/contracts.ts';
import type { HubLink } from '../../agent/ship/hub-client.ts';
import type { Clock } from '../../base/clock.ts';
import type { DictionaryCopy } from '../../hub/expand/dictionary-copy.ts';
import type { TenantWriter } from '../../hub/receive/tenant-writer.ts';
import type { Post } from '../../hub/write/post.ts';

/**
 * Where the shipped parts are joined, so that a test can put a broken one in between and see the
 * simulation notice.
 */
export interface Parts {
  openBuffer(...args: ConstructorParameters<typeof SampleBuffer>): SampleBuffer;
  groupCommit(
    buffer: SampleBuffer,
    onStored: () => void,
    clock: Clock,
  ): Pick<GroupCommit, 'add' | 'commit'>;
  sampleLog(buffer: SampleBuffer): SampleLog;
  link(link: HubLink, buffer: SampleBuffer): HubLink;
  tenantWriter(create: () => TenantWriter<DictionaryCopy>): TenantWriter<DictionaryCopy>;
  post(post: Post): Post;
  /** How far ahead of its clock the agent takes samples. */
  aheadMax: typeof aheadMax;
}

/** The parts as they are shipped. */
export const shippedParts: Parts = {
  openBuffer: (options, tools) => new SampleBuffer(options, tools),
  groupCommit: (buffer, onStored) => new GroupCommit(buffer, onStored),
  sampleLog: (buffer) => buffer,
  link: (link) => link,
  tenantWriter: (create) => create(),
  post: (post) => post,
  aheadMax,
};
