import { defineConfig } from 'vitest/config';

/** `npm test` runs everything but *.long.test.ts; `npm run test:long` runs only those. */
const long = process.env['STARFERRY_TEST_LONG'] === '1';

export default defineConfig({
  test: {
    include: [long ? 'test/**/*.long.test.ts' : 'test/**/*.test.ts'],
    exclude: long ? [] : ['**/*.long.test.ts', '**/node_modules/**'],
    // A hung test must end; a slow machine must not end one that works.
    testTimeout: long ? 600_000 : 120_000,
    hookTimeout: 120_000,
    // Real servers and CPU-bound codecs share the machine: more workers than cores only adds noise.
    maxWorkers: 2,
  },
});
