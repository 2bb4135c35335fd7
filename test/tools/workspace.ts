import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A temporary folder and everything a test starts around it. Whoever starts something says at
 * once how it ends (`onClose`); `close` ends all of it, newest first, however the test went.
 */
export class Workspace {
  readonly folder: string;
  readonly #endings: (() => void | Promise<void>)[] = [];

  constructor(name: string) {
    this.folder = mkdtempSync(join(tmpdir(), `starferry-${name}-`));
  }

  /** Path of the subfolder `name`, made when it is not there. */
  subfolder(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  onClose(ending: () => void | Promise<void>): void {
    this.#endings.push(ending);
  }

  /** Ends everything and removes the folder; one failing ending does not keep the others. */
  async close(): Promise<void> {
    const errors: unknown[] = [];
    for (const ending of this.#endings.splice(0).reverse()) {
      try {
        await ending();
      } catch (error) {
        errors.push(error);
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
    if (errors.length > 0) throw new AggregateError(errors, 'could not end all a test started');
  }
}
