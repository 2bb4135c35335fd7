import { isLoopback } from '../base/listen-address.ts';
import type { AgentConfig } from './config.ts';

/** What is permitted and perhaps not meant: for the log at the start and for check-config. */
export function agentWarnings({
  listen,
  ingest: { senders },
  filter,
}: Pick<AgentConfig, 'listen' | 'ingest' | 'filter'>): string[] {
  const warnings = [
    ...patternWarnings('keep_metrics', filter.keepMetrics),
    ...patternWarnings('keep_metrics_file', filter.keepMetricsFile?.entries ?? []),
    ...patternWarnings('drop_metrics', filter.dropMetrics),
    ...patternWarnings('drop_metrics_file', filter.dropMetricsFile?.entries ?? []),
  ];
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

/** Names with dots are rare, and habits of regular expressions are not. */
function patternWarnings(key: string, entries: readonly string[]): string[] {
  return entries
    .filter((entry) => entry.includes('.*') && !entry.includes('{'))
    .map((entry) => {
      const selector = `{__name__=~"${entry}"}`;
      return `${key}: ${entry}: the dot in it is a dot; write ${selector} for a regular expression`;
    });
}
