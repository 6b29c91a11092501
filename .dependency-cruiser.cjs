// Imports point one way: client and worker → workflows (types), document → scenarios → steps → plan → vocabulary;
// activities → plan.
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
      to: { path: '^(steps|scenarios|document|workflows|activities|worker|client|lab|test|scripts)/' },
    },
    {
      name: 'steps-import-plan',
      comment: 'A step does not know which scenario takes it, nor who runs it.',
      severity: 'error',
      from: { path: '^steps/' },
      to: { path: '^(scenarios|document|workflows|worker|client)/' },
    },
    {
      name: 'scenarios-import-steps',
      comment: 'A scenario is a list of steps and a function: what is done on hosts is in the steps.',
      severity: 'error',
      from: { path: '^scenarios/' },
      to: { path: '^(plan|activities|document|workflows|worker|client)/', ...notTypes },
    },
    {
      name: 'steps-are-pure',
      comment:
        'Workflow, document and CLI use the same object: nothing of Node, no package, of the plan what is pure, and of activities types.',
      severity: 'error',
      from: { path: '^(steps|scenarios)/' },
      to: {
        pathNot: '^(vocabulary|steps|scenarios)/|^plan/(access|markdown|words)\\.ts$',
        ...notTypes,
      },
    },
    {
      name: 'pure-plan-imports-vocabulary',
      comment: 'What steps use of the plan, workflows run in their sandbox.',
      severity: 'error',
      from: { path: '^plan/(access|markdown|words)\\.ts$' },
      to: { pathNot: '^vocabulary/|^plan/(access|markdown|words)\\.ts$', ...notTypes },
    },
    {
      name: 'document-imports-scenarios',
      comment: 'The printed plan is made of the plan and the scenarios: nothing runs for it.',
      severity: 'error',
      from: { path: '^document/' },
      to: { path: '^(workflows|activities|worker|client)/' },
    },
    {
      name: 'activities-import-plan',
      comment: 'An activity knows the plan, not who calls it.',
      severity: 'error',
      from: { path: '^activities/' },
      to: { path: '^(steps|scenarios|document|workflows|worker|client)/' },
    },
    {
      name: 'postgres-imports-no-backups',
      comment:
        'A server knows nothing of its backups, and what recovers it from them stands above both: activities/recovery.',
      severity: 'error',
      from: { path: '^activities/postgres/' },
      to: { path: '^activities/(backups|recovery|alerts|doctor|services|notifications|reports|locations)/' },
    },
    {
      name: 'recovery-stands-on-backups',
      comment: 'Of a recovery the backups use only how one of them is tested.',
      severity: 'error',
      from: { path: '^activities/(backups|locations)/', pathNot: '^activities/backups/physical\\.ts$' },
      to: { path: '^activities/recovery/' },
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
      to: { path: '^plan/', ...notTypes },
    },
    {
      name: 'workflows-import-no-caller',
      comment: 'A workflow does not know who starts it, or who runs it.',
      severity: 'error',
      from: { path: '^workflows/' },
      to: { path: '^(document|worker|client)/' },
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
      comment:
        'Workflow code runs in its sandbox alone: the client and the worker name its types, and worker/bundle.ts its folder.',
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
      comment:
        'The CLI imports the worker with import(), in the commands that run one: the others start without its weight.',
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
      from: { path: '^(vocabulary|plan|steps|scenarios|document|workflows|activities|worker|client)/' },
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
