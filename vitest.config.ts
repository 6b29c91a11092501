import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { SlowFirst } from './test/helpers/slow-first.js';

const ci = Boolean(process.env['CI']);

/** What starts no server: they share a process, since most of their time would go into loading the same modules. */
const unit = [
  'test/house.test.ts',
  'test/{vocabulary,plan,document,client,reports}/**/*.test.ts',
  'test/workflows/{alert-book,problems,validators}.test.ts',
];

export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'unit', include: unit, isolate: false } },
      { extends: true, test: { name: 'system', include: ['test/**/*.test.ts'], exclude: unit } },
    ],
    pool: 'forks',
    fileParallelism: true,
    // Half of the time of a test of a whole system is waiting: for a server to start, a segment to arrive, a time-out
    // of PostgreSQL.
    maxWorkers: Math.max(4, 2 * availableParallelism()),
    sequence: { sequencer: SlowFirst },
    // Tests wait on conditions, never for a time: these only end what would never end.
    testTimeout: 900_000,
    hookTimeout: 900_000,
    teardownTimeout: 60_000,
    retry: 0,
    reporters: ci ? ['default', 'json'] : ['default'],
    ...(ci && { outputFile: { json: 'reports/tests.json' } }),
  },
});
