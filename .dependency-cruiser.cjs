// Imports point one way: client and worker → workflows (types) and activities → plan → vocabulary.
// `npm run imports` holds the code to it, and test/house.test.ts proves that each rule fires.

const notTypes = { dependencyTypesNot: ['type-only'] };

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'Files that import each other are one file.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'vocabulary-imports-nothing',
      comment: 'Words that all agree on: the workflows run them in their sandbox, and the CLI loads them at its start.',
      severity: 'error',
      from: { path: '^vocabulary/' },
      to: { pathNot: '^vocabulary/' },
    },
    {
      name: 'plan-imports-vocabulary',
      comment: 'The plan knows nothing of what is done with it.',
      severity: 'error',
      from: { path: '^plan/' },
      to: { path: '^(workflows|activities|worker|client|lab|test|scripts)/' },
    },
    {
      name: 'activities-import-plan',
      comment: 'An activity knows the plan, not who calls it.',
      severity: 'error',
      from: { path: '^activities/' },
      to: { path: '^(workflows|worker|client)/' },
    },
    {
      name: 'workflows-import-activities-as-types',
      comment: 'A workflow proxies activities: it never runs their code.',
      severity: 'error',
      from: { path: '^workflows/' },
      to: { path: '^activities/', ...notTypes },
    },
    {
      name: 'workflows-import-plan-as-types',
      comment: 'A workflow resolves no name: an activity reads the plan, and what both need to know is vocabulary.',
      severity: 'error',
      from: { path: '^workflows/' },
      to: { path: '^plan/', pathNot: '^plan/scenarios\\.ts$', ...notTypes },
    },
    {
      name: 'workflows-import-no-caller',
      comment: 'A workflow does not know who starts it, or who runs it.',
      severity: 'error',
      from: { path: '^workflows/' },
      to: { path: '^(worker|client)/' },
    },
    {
      name: 'workflows-import-no-node',
      comment: 'A workflow has nothing of Node: do it in an activity.',
      severity: 'error',
      from: { path: '^workflows/' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'workflows-import-no-host-sdk',
      comment: "Of Temporal's packages a workflow runs only workflow and common.",
      severity: 'error',
      from: { path: '^workflows/' },
      to: { path: '(^|/)@temporalio/(client|worker|activity|testing|envconfig)(/|$)', ...notTypes },
    },
    {
      name: 'workflows-are-types-outside',
      comment: 'Workflow code runs in its sandbox alone: the client and the worker name its types, and worker/bundle.ts its folder.',
      severity: 'error',
      from: { path: '^(client|worker)/' },
      to: { path: '^workflows/', ...notTypes },
    },
    {
      name: 'worker-imports-no-client',
      comment: 'The CLI starts a worker; a worker starts no CLI.',
      severity: 'error',
      from: { path: '^worker/' },
      to: { path: '^client/' },
    },
    {
      name: 'client-loads-worker-late',
      comment: 'The CLI imports the worker with import(), in the commands that run one: the others start without its weight.',
      severity: 'error',
      from: { path: '^client/' },
      to: { path: '^worker/', dynamic: false, ...notTypes },
    },
    {
      name: 'lab-is-for-tests',
      comment: 'Nothing that protects production knows the lab.',
      severity: 'error',
      from: { pathNot: '^(test|lab)/' },
      to: { path: '^lab/' },
    },
    {
      name: 'nothing-imports-tests',
      severity: 'error',
      from: { pathNot: '^test/' },
      to: { path: '^test/' },
    },
    {
      name: 'no-development-dependency',
      comment: '`npm ci --omit=dev` must run the product.',
      severity: 'error',
      from: { path: '^(vocabulary|plan|workflows|activities|worker|client)/' },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/', ...notTypes },
    },
    {
      name: 'no-undeclared-package',
      comment: 'What is imported is in package.json.',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    combinedDependencies: false,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
