// Last step of `npm run build`: what the compiler leaves behind (.proto files, pages) belongs
// beside the compiled files that read it.
import { chmodSync, cpSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

for (const folder of ['agent', 'base', 'cli', 'demo', 'hub', 'proto']) {
  cpSync(join(root, folder), join(root, 'dist', folder), {
    recursive: true,
    filter: (path) => statSync(path).isDirectory() || !path.endsWith('.ts'),
  });
}

chmodSync(join(root, 'dist', 'cli', 'main.js'), 0o755);
