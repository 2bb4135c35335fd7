const GROUP_LENGTH_MAX = 200;

/**
 * What differs between two refusals of the same kind, in this order: texts in quotes and label sets
 * are the users' words; Cortex names the ingester that answered; the rest are times and counts.
 */
const VARYING: readonly (readonly [RegExp, string])[] = [
  [/"(?:[^"\\]|\\.)*"/g, '"…"'],
  [/(?<=[:=] ?)'[^']*'/g, "'…'"],
  [/\{[^{}]*\}/g, '{…}'],
  [/\b(series|metric)[:=] ?[^\s,'"{]*\{…\}/g, '$1={…}'],
  [/\baddr=\S+/g, 'addr=…'],
  [/\buser=[^\s:]+/g, 'user=…'],
  [/\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?/g, 'T'],
  [/\d+(?:\.\d+)*/g, 'N'],
];

/**
 * What the destination said as all refusals of its kind have it, so that they can be counted
 * together; an HTTP status in front stays.
 */
export function messageGroup(message: string): string {
  const [status = ''] = /^\d{3} /.exec(message) ?? [];
  let group = message.slice(status.length).replace(/\s+/g, ' ').trim();
  for (const [pattern, placeholder] of VARYING) group = group.replace(pattern, placeholder);
  return (status + group).slice(0, GROUP_LENGTH_MAX);
}
