import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../proto/bytes.ts';
import {
  decodeEntry,
  encodeMetadataEntry,
  encodeSeriesEntry,
} from '../../proto/dictionary-entry.ts';
import { canonicalMetadata, METADATA_BYTES_MAX } from '../../proto/metric-metadata.ts';
import { field, labels } from './wire-fixture.ts';

describe('a dictionary entry', () => {
  it('of a series is its kind, its tenant and its labels', () => {
    const set = labels(['__name__', 'up']);
    const entry = encodeSeriesEntry('té', set);
    expect([...entry]).toEqual([1, 3, ...Buffer.from('té'), ...set]);
    expect(decodeEntry(entry)).toEqual({ kind: 'series', tenant: 'té', labels: set });
  });

  it('of metadata says what the family is', () => {
    const bytes = Uint8Array.from([
      8,
      1,
      ...field(2, 'up'),
      ...field(4, 'Is it?'),
      ...field(5, 's'),
    ]);
    const entry = encodeMetadataEntry('', bytes);
    expect([...entry]).toEqual([2, 0, ...bytes]);
    const wanted = {
      kind: 'metadata',
      tenant: '',
      type: 1,
      family: 'up',
      help: 'Is it?',
      unit: 's',
    };
    expect(decodeEntry(entry)).toEqual({ ...wanted, bytes });
  });

  it.each([
    ['nothing', []],
    ['an unknown kind', [3, 0]],
    ['a cut tenant', [1, 4, 97]],
    ['a tenant that is no UTF-8', [1, 1, 0xff]],
    ['metadata that is no protobuf', [2, 0, 0x12, 9]],
  ])('of %s is refused', (_, bytes) => {
    expect(() => decodeEntry(Uint8Array.from(bytes))).toThrow(DecodeError);
  });
});

describe('metadata', () => {
  it('has one form, whatever the order, the unknown fields and the empty ones it came with', () => {
    const tidy = [8, 2, ...field(2, 'up'), ...field(4, 'help')];
    const untidy = [
      ...field(9, 'new'),
      ...field(4, 'help', 1),
      ...field(5, ''),
      ...field(2, 'up'),
      8,
      2,
    ];
    expect(canonicalMetadata(Uint8Array.from(untidy))).toEqual(Uint8Array.from(tidy));
    expect(canonicalMetadata(Uint8Array.from(tidy))).toEqual(Uint8Array.from(tidy));
  });

  it('leaves the type out when it is unknown or beyond what an enum can be', () => {
    const family = field(2, 'up');
    expect(canonicalMetadata(Uint8Array.from([8, 0, ...family]))).toEqual(Uint8Array.from(family));
    const beyond = [8, 0x80, 0x80, 0x80, 0x80, 0x08];
    expect(canonicalMetadata(Uint8Array.from([...beyond, ...family]))).toEqual(
      Uint8Array.from(family),
    );
  });

  it('without a family or above the limit is none', () => {
    expect(canonicalMetadata(Uint8Array.from(field(4, 'help')))).toBeUndefined();
    const help = field(4, 'x'.repeat(METADATA_BYTES_MAX));
    expect(canonicalMetadata(Uint8Array.from([...field(2, 'up'), ...help]))).toBeUndefined();
  });

  it('with a field of another type is refused', () => {
    expect(() => canonicalMetadata(Uint8Array.from([0x10, 1]))).toThrow('field 2');
  });
});
