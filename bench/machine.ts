import { availableParallelism, cpus } from 'node:os';

/** Figures mean little without the machine they come from. */
export function describeMachine(): string {
  const model = cpus()[0]?.model ?? 'unknown processor';
  const cores = `${availableParallelism()} cores`;
  const today = new Date().toISOString().slice(0, 10);
  return `${model}, ${cores}, ${process.platform} ${process.arch}, node ${process.version}, ${today}`;
}
