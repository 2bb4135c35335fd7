import type { WriteProtocol } from '../../proto/remote-write/write-encoder.ts';

/** One attempt to write a body. */
export interface PostRequest {
  tenant: string;
  /** What `body` is, compressed with snappy. */
  protocol: WriteProtocol;
  body: Uint8Array;
  /** 0 for the first attempt, then counting. */
  attempt: number;
  /** Gives the attempt up, wherever it is. */
  signal: AbortSignal;
}

/** `written`: samples, histograms and exemplars that a receiver of version 2.0 has written. */
export interface AnswerHeaders {
  retryAfter?: string;
  written?: number;
}

export type PostResult =
  /** `body` is cut after a limit: it is a message for people. */
  | { kind: 'answer'; status: number; headers: AnswerHeaders; body: string }
  /** No answer. `mayHaveArrived` is false only when the body certainly never left. */
  | { kind: 'failed'; message: string; timedOut: boolean; mayHaveArrived: boolean };

/** The way to the destination; an argument, so that tests can put faults in it. Never rejects. */
export type Post = (request: PostRequest) => Promise<PostResult>;

/** What was said, for people. */
export function messageOf(result: PostResult): string {
  return result.kind === 'answer' ? `${result.status} ${result.body}`.trim() : result.message;
}
