import { builtinModules } from 'node:module';
import tseslint from 'typescript-eslint';

const builtins = builtinModules.filter((name) => !name.startsWith('_') && !name.startsWith('node:'));

// Longer than a file or a function is to be: each waits to be parted. None is added.
const longFiles = [
  'activities/backups/all-locations.ts',
  'activities/backups/engines/pgbackrest.ts',
  'activities/backups/engines/wal-g-verify.ts',
  'activities/backups/logical/fetch.ts',
  'activities/backups/logical/load.ts',
  'activities/backups/logical/local-file.ts',
  'activities/backups/logical/restore.ts',
  'activities/backups/logical/take.ts',
  'activities/backups/restic/take.ts',
  'activities/backups/retention.ts',
  'activities/doctor/host-facts.ts',
  'activities/locations/azure.ts',
  'activities/locations/gcs.ts',
  'activities/postgres/cluster.ts',
  'activities/postgres/configuration.ts',
  'activities/postgres/server.ts',
  'activities/postgres/source.ts',
  'activities/postgres/stop-writes.ts',
  'activities/recovery/check-request.ts',
  'activities/recovery/one-database.ts',
  'activities/recovery/put-in-place.ts',
  'activities/recovery/rebuild-standby.ts',
  'activities/recovery/restore-beside.ts',
  'activities/recovery/verify-restored.ts',
  'activities/reports/facts.ts',
  'activities/reports/html/sections.ts',
  'activities/run.ts',
  'client/lifeboat.ts',
  'client/no-plan.ts',
  'document/by-hand.ts',
  'document/document.ts',
  'plan/explain.ts',
  'plan/references-backups.ts',
  'plan/schema.ts',
  'plan/yaml.ts',
  'workflows/alert-book.ts',
  'workflows/branch.ts',
  'workflows/conversation.ts',
  'workflows/incident.ts',
];
const longFunctions = [
  'activities/backups/backup.ts',
  'activities/backups/logical/fetch.ts',
  'activities/backups/logical/program.ts',
  'activities/backups/logical/scratch-server.ts',
  'activities/backups/logical/take.ts',
  'activities/doctor/host-facts.ts',
  'activities/locations/azure.ts',
  'activities/locations/directory.ts',
  'activities/locations/gcs.ts',
  'activities/locations/s3.ts',
  'activities/locations/sftp-session.ts',
  'activities/locations/sftp.ts',
  'activities/postgres/stop-writes.ts',
  'activities/recovery/one-database.ts',
  'activities/recovery/put-in-place.ts',
  'activities/recovery/verify-restored.ts',
  'activities/reports/html/page.ts',
  'activities/reports/markdown.ts',
  'activities/run.ts',
  'client/commands/init.ts',
  'client/follow.ts',
  'document/by-hand-places.ts',
  'document/protected.ts',
  'plan/references-backups.ts',
  'plan/starter.ts',
  'worker/up.ts',
  'workflows/alerts.ts',
];

export default tseslint.config(
  { ignores: ['dist/', 'coverage/', 'reports/', 'lab-data/', '.lifeboat/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: { allowDefaultProject: ['*.config.ts'] }, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'off',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // With noUncheckedIndexedAccess, `!` is how the code says that it knows.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // An async function without `await` is how an activity or a fake keeps the shape of its interface.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      'max-len': [
        'error',
        { code: 120, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true },
      ],
      'max-lines': ['error', 200],
      'max-lines-per-function': ['error', { max: 60, skipComments: true }],
      // What follows finds style, not faults.
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      '@typescript-eslint/no-dynamic-delete': 'off',
      '@typescript-eslint/no-unnecessary-type-conversion': 'off',
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/no-invalid-void-type': 'off',
    },
  },
  {
    // A workflow runs in Temporal's sandbox and is replayed: nothing of Node, nothing of the host.
    files: ['workflows/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: builtins.map((name) => ({ name, message: 'A workflow has nothing of Node: do it in an activity.' })),
          patterns: [{ regex: '^node:', message: 'A workflow has nothing of Node: do it in an activity.' }],
        },
      ],
      'no-restricted-globals': [
        'error',
        ...[
          'process',
          'Buffer',
          'require',
          'fetch',
          'global',
          '__dirname',
          'setImmediate',
          'WeakRef',
          'FinalizationRegistry',
        ].map((name) => ({
          name,
          message: 'Not in a workflow: it is not deterministic, or not in the sandbox.',
        })),
      ],
    },
  },
  {
    // What lies in a data directory was made by somebody else: a FIFO there would keep a thread of the agent for ever.
    files: ['activities/postgres/**/*.ts', 'activities/recovery/**/*.ts', 'activities/backups/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: [
            {
              name: 'node:fs/promises',
              importNames: ['readFile', 'open', 'copyFile', 'cp'],
              message: 'Use openRegular, readFile or copyFile of activities/files.ts.',
            },
          ],
        },
      ],
    },
  },
  { files: longFiles, rules: { 'max-lines': ['error', 420] } },
  { files: longFunctions, rules: { 'max-lines-per-function': ['error', { max: 150, skipComments: true }] } },
  {
    files: ['test/**/*.ts', 'lab/**/*.ts'],
    rules: {
      'max-lines': 'off',
      'max-lines-per-function': 'off',
      // A test may look into what it was given.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    rules: { eqeqeq: ['error', 'always', { null: 'ignore' }], 'no-unused-vars': 'error', 'no-undef': 'off' },
  },
);
