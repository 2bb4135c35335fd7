import { Gauge, Histogram, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { parseTextFormat } from '../../demo/text-format.ts';

function metricsOf(text: string) {
  const page = parseTextFormat(text);
  if (page.kind === 'unreadable') throw new Error(page.line);
  return page.metrics.map(({ name, labels, value }) => [name, Object.fromEntries(labels), value]);
}

describe('the text format', () => {
  it.each([
    ['a 1', 'a', {}, 1],
    ['a{} 1', 'a', {}, 1],
    ['a:b_c{x="y"} 1.5e-7', 'a:b_c', { x: 'y' }, 1.5e-7],
    ['a{x="y",z="w",} 2', 'a', { x: 'y', z: 'w' }, 2],
    ['a{ x="y" , z="w" }   2', 'a', { x: 'y', z: 'w' }, 2],
    ['a{x="} 3 \\" \\\\ \\n ,"} 4', 'a', { x: '} 3 " \\ \n ,' }, 4],
    ['a +Inf', 'a', {}, Infinity],
    ['a -Inf', 'a', {}, -Infinity],
    ['a NaN', 'a', {}, Number.NaN],
    ['a -0', 'a', {}, -0],
  ])('%s', (line, name, labels, value) => {
    expect(metricsOf(`# HELP a b\n# TYPE a gauge\n\n${line}\n`)).toEqual([[name, labels, value]]);
  });

  it.each(['a', 'a{x=y} 1', 'a{x="y} 1', 'a one', '1a 1', 'a{x="y"}', 'a 1 2 3'])(
    'a page with the line %s is unreadable',
    (line) => {
      expect(parseTextFormat(`good 1\n${line}\n`)).toEqual({ kind: 'unreadable', line });
    },
  );

  it('reads back what prom-client prints', async () => {
    const registry = new Registry();
    const gauge = new Gauge({ name: 'g', help: 'h', labelNames: ['l'], registers: [registry] });
    gauge.set({ l: 'quote " slash \\ newline \n end' }, -12.25);
    const histogram = new Histogram({ name: 'h', help: 'h', buckets: [1], registers: [registry] });
    histogram.observe(0.5);
    expect(metricsOf(await registry.metrics())).toEqual([
      ['g', { l: 'quote " slash \\ newline \n end' }, -12.25],
      ['h_bucket', { le: '1' }, 1],
      ['h_bucket', { le: '+Inf' }, 1],
      ['h_sum', {}, 0.5],
      ['h_count', {}, 1],
    ]);
  });
});
