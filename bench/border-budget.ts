import { type Batch, decodeBatch, encodeBatch } from '../proto/batch.ts';
import { compressFrame, decompressFrame } from '../proto/zstd.ts';
import { readEntries, withoutEntries, withoutMetadata } from './dictionary-entries.ts';
import { type HttpExchange, readExchanges } from './http-exchanges.ts';
import type { RecordedConnection } from './link-recorder.ts';

const BATCH_BYTES_MAX = 256 * 2 ** 20;
/** As the agent compresses its batches. */
const ZSTD_LEVEL = 3;

/** Where the bytes between agent and hub went; every one of them is in exactly one line. */
export interface BorderBytes {
  samples: number;
  seriesEntries: number;
  metadataEntries: number;
  /** What is left of a batch without samples and entries, its zstd frame included. */
  envelopes: number;
  httpUp: number;
  httpDown: number;
  /** Bodies of the hub's answers. */
  answers: number;
  /** Of messages that were cut off or never answered. */
  broken: number;
}

export interface BorderBudget {
  bytes: BorderBytes;
  exchanges: number;
  /** Live batches in the order in which the agent made them. */
  sections: { samples: number; sectionBytes: number }[];
  /** Entries of the dictionary log that crossed, repeated ones included. */
  seriesEntries: number;
  metadataEntries: number;
}

/** Takes apart what a recorder has kept. @throws DecodeError, FrameError */
export function borderBudget(connections: readonly RecordedConnection[]): BorderBudget {
  const budget = emptyBudget();
  const batches: Batch[] = [];
  for (const connection of connections) {
    const { exchanges, brokenBytes } = readExchanges(connection);
    budget.bytes.broken += brokenBytes;
    budget.exchanges += exchanges.length;
    for (const exchange of exchanges) {
      addHttp(budget.bytes, exchange);
      const { startLine, body } = exchange.request;
      if (startLine.startsWith('POST /v1/batch')) batches.push(addBatch(budget, body));
    }
  }
  batches.sort((a, b) => a.sentAtMs - b.sentAtMs);
  for (const batch of batches) {
    if (batch.lane !== 'live') continue;
    budget.sections.push({ samples: batch.samplesCount, sectionBytes: batch.samples.length });
  }
  return budget;
}

/** All lines together: the TCP payload of both directions. */
export function totalBytes(bytes: BorderBytes): number {
  return Object.values(bytes).reduce((sum: number, line: number) => sum + line, 0);
}

/** What an exchange costs beside samples and dictionary, in both directions. */
export function framingBytes({ envelopes, httpUp, httpDown, answers }: BorderBytes): number {
  return envelopes + httpUp + httpDown + answers;
}

/** Bytes per sample of the samples sections that start in the second half of all samples. */
export function secondHalfSectionBytes({ sections }: BorderBudget): number {
  const total = sections.reduce((sum, { samples }) => sum + samples, 0);
  let before = 0;
  let bytes = 0;
  let counted = 0;
  for (const { samples, sectionBytes } of sections) {
    if (before * 2 >= total) {
      bytes += sectionBytes;
      counted += samples;
    }
    before += samples;
  }
  return bytes / counted;
}

function emptyBudget(): BorderBudget {
  return {
    bytes: {
      samples: 0,
      seriesEntries: 0,
      metadataEntries: 0,
      envelopes: 0,
      httpUp: 0,
      httpDown: 0,
      answers: 0,
      broken: 0,
    },
    exchanges: 0,
    sections: [],
    seriesEntries: 0,
    metadataEntries: 0,
  };
}

function addHttp(bytes: BorderBytes, { request, answer }: HttpExchange): void {
  bytes.httpUp += request.headBytes;
  bytes.httpDown += answer.headBytes;
  bytes.answers += answer.body.length;
}

/**
 * zstd compresses a batch as a whole, so each part is charged with what the frame shrinks by when
 * the part is taken out: first the samples, then the metadata, then the series.
 */
function addBatch(budget: BorderBudget, frame: Uint8Array): Batch {
  const { bytes } = budget;
  const batch = decodeBatch(decompressFrame(frame, BATCH_BYTES_MAX));
  let rest = frame.length;
  const charge = (line: 'samples' | 'metadataEntries' | 'seriesEntries', without: Batch) => {
    const smaller = compressFrame(encodeBatch(without), ZSTD_LEVEL).length;
    bytes[line] += rest - smaller;
    rest = smaller;
  };
  let stripped = batch;
  if (stripped.lane === 'live') {
    stripped = { ...stripped, samples: new Uint8Array(0) };
    charge('samples', stripped);
  }
  if (stripped.lane !== 'heartbeat' && stripped.dictionary !== undefined) {
    const { dictionary } = stripped;
    countEntries(budget, readEntries(dictionary));
    charge('metadataEntries', { ...stripped, dictionary: withoutMetadata(dictionary) });
    charge('seriesEntries', { ...stripped, dictionary: withoutEntries(dictionary) });
  }
  bytes.envelopes += rest;
  return batch;
}

function countEntries(budget: BorderBudget, entries: ReturnType<typeof readEntries>): void {
  for (const { kind } of entries) {
    if (kind === 'series') budget.seriesEntries++;
    else budget.metadataEntries++;
  }
}
