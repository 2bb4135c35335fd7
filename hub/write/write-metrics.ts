/** What the room counts; the metrics themselves are made in hub/status. */
export interface WriteMetrics {
  /** One attempt: `code` is the HTTP status of the answer, or `timeout` or `network`. */
  request(code: string): void;
  /** One more (+1) or one less (-1) request held until an operator changes something. */
  heldByMisconfiguration(change: 1 | -1): void;
}
