import { uncompress } from 'snappyjs';
import { describe, expect, it } from 'vitest';
import { boundedLog, createLog } from '../../base/log.ts';
import { MetadataSender } from '../../hub/write/metadata-sender.ts';
import type { PostRequest, PostResult } from '../../hub/write/post.ts';
import { FieldCursor } from '../../proto/field-cursor.ts';
import { canonicalMetadata, decodeMetadata } from '../../proto/metric-metadata.ts';

const families = ['up', 'http_requests_total', 'build_info'];

/** A clock whose sleeps are over at once; it ends the loop after `rounds` of them. */
function rounds(count: number) {
  const ending = new AbortController();
  const slept: number[] = [];
  const clock = {
    now: () => 0,
    elapsedMs: () => 0,
    sleep(ms: number) {
      if (slept.length === count) ending.abort();
      slept.push(ms);
      return Promise.resolve();
    },
  };
  return { clock, signal: ending.signal, slept };
}

function recordsOf(names: readonly string[]): Map<string, Uint8Array> {
  return new Map(
    names.map((family) => {
      const name = Buffer.from(family);
      const record = canonicalMetadata(Buffer.concat([Buffer.from([0x12, name.length]), name]));
      return [family, record!];
    }),
  );
}

/** Family names in a remote-write body, read by field 3 of WriteRequest. */
function familiesIn(body: Uint8Array): string[] {
  const bytes = uncompress(body);
  const cursor = new FieldCursor(bytes, 0, bytes.length);
  const found: string[] = [];
  while (cursor.at < bytes.length) {
    expect(cursor.tag()).toBe(0x1a);
    found.push(decodeMetadata(cursor.content()).family);
  }
  return found;
}

const log = boundedLog(
  createLog({ level: 'fatal', name: 'test' }),
  { perMinute: 10 },
  rounds(0).clock,
);

describe('metadata at the hub', () => {
  it('goes to the destination every minute, as Prometheus sends it', async () => {
    const { clock, signal, slept } = rounds(2);
    const sent: PostRequest[] = [];
    const post = (request: PostRequest): Promise<PostResult> => {
      sent.push(request);
      return Promise.resolve({ kind: 'answer', status: 200, headers: {}, body: '' });
    };
    const known = () => [{ tenant: 'overseas', records: recordsOf(families) }];
    await new MetadataSender({ kind: 'cortex', post, clock, log }).run(known, signal);
    expect(sent.map(({ tenant }) => tenant)).toEqual(['overseas', 'overseas']);
    expect(sent.map(({ protocol }) => protocol)).toEqual(['v1', 'v1']);
    expect(sent.map(({ body }) => familiesIn(body))).toEqual([families, families]);
    expect(slept).toEqual([60_000, 60_000, 60_000]);
  });

  it('is cut into requests of 2000 records; what failed comes last in the next round', async () => {
    const { clock, signal } = rounds(2);
    const many = Array.from({ length: 4001 }, (_, index) => `family_${index}`);
    const sent: string[][] = [];
    const post = ({ body }: PostRequest): Promise<PostResult> => {
      sent.push(familiesIn(body));
      const lost = {
        kind: 'failed',
        message: 'cut',
        timedOut: false,
        mayHaveArrived: true,
      } as const;
      const taken = { kind: 'answer', status: 200, headers: {}, body: '' } as const;
      return Promise.resolve(sent.length === 2 ? lost : taken);
    };
    const known = () => [{ tenant: 'overseas', records: recordsOf(many) }];
    await new MetadataSender({ kind: 'cortex', post, clock, log }).run(known, signal);
    expect(sent.map((families) => [families[0], families.length])).toEqual([
      ['family_0', 2000],
      ['family_2000', 2000],
      ['family_4000', 2000],
      ['family_1999', 2000],
      ['family_3999', 1],
    ]);
  });
});
