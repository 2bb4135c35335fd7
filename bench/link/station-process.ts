import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { nodeProgram } from '../../test/e2e/starferry.ts';
import type { Workspace } from '../../test/tools/workspace.ts';
import { inNamespace } from './namespaces.ts';
import type { StationAnswer, StationCalls, StationRequest } from './station.ts';

const entry = fileURLToPath(new URL('./station.ts', import.meta.url));

type Argument<Call extends keyof StationCalls> = Parameters<StationCalls[Call]>[0];
type Value<Call extends keyof StationCalls> = Awaited<ReturnType<StationCalls[Call]>>;

/** A station, seen from the benchmark. What is said goes as JSON. */
export class StationProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(e: Error): void }>();
  #lastId = 0;

  constructor(workspace: Workspace, namespace: string) {
    const [program, ...args] = inNamespace(namespace, [nodeProgram, entry]);
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
    this.#child = spawn(program, args, { stdio: [...stdio] });
    this.#child.on('message', (answer: StationAnswer) => this.#answered(answer));
    this.#child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('a station has ended'));
    });
    workspace.onClose(() => void this.#child.kill('SIGKILL'));
  }

  /** @throws Error in the words of the station */
  call<Call extends keyof StationCalls>(
    call: Call,
    ...[argument]: Argument<Call> extends undefined ? [] : [Argument<Call>]
  ): Promise<Value<Call>> {
    const request: StationRequest = { id: ++this.#lastId, call, argument };
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve: (value) => resolve(value as Value<Call>), reject });
      this.#child.send(request);
    });
  }

  #answered(answer: StationAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('error' in answer) waiting?.reject(new Error(answer.error));
    else waiting?.resolve(answer.value);
  }
}
