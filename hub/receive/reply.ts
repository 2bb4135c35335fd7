/** What the hub answers to an agent: status, and protobuf or a line of text. */
export interface Reply {
  status: number;
  body: Uint8Array;
  /** With 503: whole seconds. */
  retryAfterSeconds?: number;
}

/** An answer for people: proxies' logs, curl, the agent's log. */
export function textReply(status: number, text: string): Reply {
  return { status, body: Buffer.from(`${text}\n`) };
}
