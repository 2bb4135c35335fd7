/** Where a server listens; an empty host means every interface, port 0 any free port. */
export interface ListenAddress {
  host: string;
  port: number;
}

/** What a listen address looks like, for error messages. */
export const LISTEN_ADDRESS_FORM = 'host:port such as 127.0.0.1:9201, :9201 or [::1]:9201';

/** Reads `host:port`; an IPv6 host stands in brackets. Undefined for anything else. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([a-zA-Z0-9._-]*)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  return port <= 65_535 ? { host: match[1] ?? match[2] ?? '', port } : undefined;
}

/** Whether only programs on this machine can reach `host`. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').replace(/^::ffff:/i, '');
  return bare === 'localhost' || bare === '::1' || /^127(?:\.\d{1,3}){3}$/.test(bare);
}
