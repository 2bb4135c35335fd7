/**
 * Reads one metric of a running program, by its name and labels as the text format prints them;
 * 0 when it is not there yet.
 */
export async function readMetric(url: string, series: string): Promise<number> {
  const response = await fetch(`${url}/metrics`);
  const lines = (await response.text()).split('\n');
  const line = lines.find((text) => text.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}
