/** Sends a snappy-compressed remote-write body to an agent. @throws Error when it is not stored */
export async function push(agentUrl: string, body: Uint8Array): Promise<void> {
  const response = await fetch(`${agentUrl}/api/v1/push`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
    body: new Uint8Array(body),
  });
  const text = await response.text();
  if (response.status !== 204) throw new Error(`the agent answered ${response.status}: ${text}`);
}
