import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const globalSetup = 'test/global-setup.ts';
const ci = Boolean(process.env['CI']);

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    ...(existsSync(globalSetup) && { globalSetup }),
    pool: 'forks',
    fileParallelism: true,
    maxWorkers: Math.max(2, availableParallelism()),
    // Tests wait on conditions, never for a time: these only end what would never end.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    teardownTimeout: 60_000,
    retry: 0,
    reporters: ci ? ['default', 'json'] : ['default'],
    ...(ci && { outputFile: { json: 'reports/tests.json' } }),
  },
});
