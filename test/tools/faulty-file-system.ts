import type * as fileSystem from 'node:fs';

type Call = 'fsyncSync' | 'statSync' | 'statfsSync' | 'writeSync';

/** What calls of the file system do instead, as long as a test wants that. */
const faults = new Map<Call, (...args: never[]) => unknown>();

/** The real file system; its faults are injected. To be used with `vi.mock('node:fs', …)`. */
export function faultyFileSystem(real: typeof fileSystem): typeof fileSystem {
  const faulty =
    (name: Call) =>
    (...args: never[]): unknown =>
      (faults.get(name) ?? (real[name] as (...args: never[]) => unknown))(...args);
  return {
    ...real,
    fsyncSync: faulty('fsyncSync'),
    statSync: faulty('statSync'),
    statfsSync: faulty('statfsSync'),
    writeSync: faulty('writeSync'),
  } as typeof fileSystem;
}

/** Does `work` while calls of `name` are answered by `call`. */
export function whileFaulty<T>(name: Call, call: (...args: never[]) => unknown, work: () => T): T {
  faults.set(name, call);
  try {
    return work();
  } finally {
    faults.delete(name);
  }
}

/** The error that Node throws where the system answers `code`. */
export function systemError(code: string, syscall: string): Error {
  return Object.assign(new Error(`${code}: injected, ${syscall}`), { code, syscall, errno: -5 });
}
