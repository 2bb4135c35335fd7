import { parentPort, workerData } from 'node:worker_threads';
import { SamplesDecoder } from '../proto/codec/samples-decoder.ts';
import { SamplesEncoder } from '../proto/codec/samples-encoder.ts';
import { SampleColumns } from '../proto/sample-columns.ts';
import {
  type BaselineSection,
  loadBaselineDecoder,
  loadBaselineEncoder,
} from './baseline/prototype.ts';
import { nodeMix15s, readCapture } from './capture.ts';
import { capturedBatches, capturedGroupKeys } from './captured-batches.ts';
import { CapturedSamples } from './captured-samples.ts';

export interface CodecWork {
  codec: 'ours' | 'baseline';
  /** An agent only encodes and a hub only decodes, so each has a thread to itself here. */
  end: 'encode' | 'decode';
  horizonMs: number;
}

export interface CodecRun {
  ms: number;
  sectionBytes: number[];
}

const { codec, end, horizonMs } = workerData as CodecWork;
const samples = new CapturedSamples(readCapture(nodeMix15s));
const groupKeys = capturedGroupKeys(samples);
const batches = capturedBatches(samples, horizonMs);
const beginRun = codec === 'ours' ? ours() : await baseline();

// Every message asks for one pass over all batches with a fresh stream.
parentPort!.on('message', () => {
  const pass = beginRun();
  const sectionBytes: number[] = [];
  const startedMs = performance.now();
  batches.forEach((columns, index) => {
    sectionBytes.push(pass(columns, index));
  });
  const run: CodecRun = { ms: performance.now() - startedMs, sectionBytes };
  parentPort!.postMessage(run);
});

/** Begins a stream; the function takes one batch after another and returns the section's length. */
type BeginRun = () => (columns: SampleColumns, index: number) => number;

function ours(): BeginRun {
  const createEncoder = () => new SamplesEncoder((id) => groupKeys[id]!);
  if (end === 'encode') {
    return () => {
      const encoder = createEncoder();
      return (columns) => encoder.encode(columns).length;
    };
  }
  const encoder = createEncoder();
  const sections = batches.map((columns) => encoder.encode(columns));
  return () => {
    const decoder = new SamplesDecoder({ idsMax: groupKeys.length });
    const decoded = new SampleColumns();
    return ({ count }, index) => {
      decoded.clear();
      decoder.decode(sections[index]!, count, decoded);
      return sections[index]!.length;
    };
  };
}

async function baseline(): Promise<BeginRun> {
  const beginEncoder = await loadBaselineEncoder(groupKeys);
  if (end === 'encode') {
    return () => {
      const encode = beginEncoder();
      return (columns) => encode(columns).section.length;
    };
  }
  const encode = beginEncoder();
  const sections: BaselineSection[] = batches.map((columns) => encode(columns));
  const beginDecoder = await loadBaselineDecoder(groupKeys);
  return () => {
    const decode = beginDecoder();
    const decoded = new SampleColumns();
    return (_columns, index) => {
      decoded.clear();
      decode(sections[index]!, decoded);
      return sections[index]!.section.length;
    };
  };
}
