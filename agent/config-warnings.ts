import { isLoopback } from '../base/listen-address.ts';
import type { AgentConfig } from './config.ts';

/** What is permitted and perhaps not meant: for the log at the start and for check-config. */
export function agentWarnings({
  listen,
  ingest: { senders },
}: Pick<AgentConfig, 'listen' | 'ingest'>): string[] {
  const warnings: string[] = [];
  if (senders.users.length > 0 && !isLoopback(listen.host)) {
    warnings.push(
      'ingest.users: their passwords and tokens cross the network in plain text, as listen is ' +
        'not loopback: let a proxy with TLS on this machine pass requests on, or be sure of the ' +
        'network',
    );
  }
  if (senders.defaultTenant !== '' && (senders.users.length > 0 || senders.forceTenant !== '')) {
    const instead = senders.forceTenant === '' ? 'ingest.users' : 'ingest.force_tenant';
    warnings.push(`ingest.default_tenant: it is never used, as ${instead} decides`);
  }
  return warnings;
}
