import { databaseCorruption } from '../../scenarios/database-corruption.js';
import { postRecoveryTasks } from '../../scenarios/tasks.js';
import type { IncidentState, StepRecord } from '../../vocabulary/incident.js';

/** Incidents in each state that people see. Times are seconds after the declaration. */

const declaredAt = '2026-11-21T03:15:02.000Z';
export const at = (seconds: number): string => new Date(Date.parse(declaredAt) + seconds * 1000).toISOString();
export const moment = (seconds: number): Date => new Date(at(seconds));

export const step = (
  name: string,
  from: number,
  to: number | undefined,
  more: Partial<StepRecord> = {},
): StepRecord => ({
  name,
  status: to === undefined ? 'running' : 'done',
  startedAt: at(from),
  ...(to === undefined ? {} : { endedAt: at(to) }),
  attempts: 1,
  ...more,
});

const names = databaseCorruption.steps.map((one) => one.name);
const after = (name: (typeof names)[number]): string[] =>
  names.slice(names.indexOf(name) + 1).filter((one) => one !== 'Repair');
const tasks = () => postRecoveryTasks.map((task) => ({ ...task }));

const base: IncidentState = {
  id: 'shop-20261121-031502',
  system: 'shop',
  scenario: 'database-corruption',
  database: 'main',
  mode: 'real',
  phase: 'open',
  questions: [],
  declaredBy: 'asha',
  declaredAt,
  target: 'latest',
  objectives: { rtoSeconds: 900, rpoSeconds: 300 },
  approvals: 1,
  ahead: [],
  steps: [],
  notes: [],
  components: [],
  lost: [],
  rows: [],
  doubts: [],
  measured: { rtoSeconds: null, rpoSeconds: null },
  quarantine: [],
  tasks: tasks(),
  warnings: [],
  evidence: [],
  canRollBack: false,
  planDigest: 'sha256:1f0c4d3e9a7b2c5d8e6f1a0b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d',
};

const sha = (seed: string): string => seed.repeat(64).slice(0, 64);

const untilRestore = [
  step('Check the request', 0, 1.2, {
    host: 'db1',
    summary: 'backup 20261121-020000F fits the target; 34 GB free, 24.5 GB needed',
  }),
  step('Stop writes', 1.2, 5.4, {
    host: 'db1',
    summary: '2 services stopped, 14 sessions ended, a write was refused',
    details: [
      'backend on app1: stopped in 2.1s',
      'worker on app1: stopped in 1.0s',
      'INSERT into lifeboat.canary: refused, as it must be',
    ],
  }),
  step('Save evidence', 5.4, 9.6, { host: 'db1', summary: '3 files, 1.9 MB' }),
  step('Assess the damage', 9.6, 71, {
    host: 'db1',
    summary: 'not repairable: 3 damaged pages in public.orders',
    details: [
      'public.orders, block 4711: invalid page header',
      'public.orders, block 4712: checksum 0x3af1, expected 0x91c0',
      'public.orders, block 4713: checksum 0x0000, expected 0x22b7',
    ],
  }),
  step('Choose the backup', 71, 71.02, { summary: '20261121-020000F from onsite, taken 1h 15m before' }),
];
const restored = [
  ...untilRestore,
  step('Restore beside', 71.1, 402, {
    host: 'db1',
    attempts: 2,
    summary: '24.5 GB restored, recovered to 03:14:58 UTC',
    problem: {
      message: 'connection to the location onsite was lost',
      hint: 'Look at the mount of the backups',
      type: 'CommandFailed',
    },
    decision: { by: 'ben', choice: 'retry', at: at(160) },
  }),
  step('Verify the restored copy', 402, 466, {
    host: 'db1',
    summary: 'amcheck clean, 4 tables counted, 2 queries as expected, canary 4.2s old',
  }),
];
const evidence = [
  { file: 'postgresql-2026-11-21.log', bytes: 1_840_233, sha256: sha('4f2a9c') },
  { file: 'pg_controldata.txt', bytes: 2_412, sha256: sha('09bd71') },
  { file: 'amcheck.txt', bytes: 18_020, sha256: sha('c3e8a5') },
];
const rows = [
  { table: 'public.users', expected: 10_482, found: 10_482, ok: true },
  { table: 'public.orders', expected: 1_204_551, found: 1_204_549, ok: true },
  { table: 'public.order_items', expected: 3_910_204, found: 3_910_198, ok: true },
  { table: 'public.sessions', expected: null, found: 88_120, ok: true },
];
const backup = { label: '20261121-020000F', location: 'onsite', takenAt: '2026-11-21T02:00:00.000Z' };

export const recovered: IncidentState = {
  ...base,
  phase: 'recovered',
  steps: [
    ...restored,
    step('Approve', 466, 588, {
      summary: 'ben approved',
      decision: { by: 'ben', choice: 'approve', reason: 'figures are right', at: at(588) },
    }),
    step('Put it in place', 588, 611, {
      host: 'db1',
      summary: 'the damaged copy is in quarantine, the restored one runs',
    }),
    step('Resume the service', 611, 640, { host: 'app1', summary: '2 services healthy from outside' }),
    step('Watch', 640, 700, { summary: 'healthy for 60s' }),
    step('Re-protect', 700, 1012, { host: 'db1', summary: 'full backup 20261121-032710F, standby db2 streaming' }),
    step('Report', 1012, 1012.3, { summary: 'written' }),
  ],
  notes: [
    { at: at(180), by: 'ben', text: 'The mount of onsite was stale. Remounted it.' },
    { at: at(660), by: 'asha', text: 'Support says customers can order again.' },
  ],
  lost: [
    'Writes between 03:14:58 and 03:15:02 UTC: 4.2 seconds.',
    '2 rows of public.orders and 6 of public.order_items, written in that time.',
  ],
  rows,
  measured: { rtoSeconds: 640, rpoSeconds: 4.2 },
  quarantine: [
    {
      host: 'db1',
      path: '/var/lib/postgresql/15/main.quarantine-shop-20261121-031502',
      bytes: 24_512_330_112,
      what: 'the damaged data directory',
    },
  ],
  warnings: ['The standby dr1 is offline: it was not rebuilt, and will be when its agent is back.'],
  evidence,
  backup,
  ending: 'The database main runs from the restored copy on db1, and its services are resumed',
  report: '/var/lib/lifeboat/reports/shop-20261121-031502',
  canRollBack: true,
};

export const closed: IncidentState = {
  ...recovered,
  phase: 'closed',
  endedAt: at(93_600),
  canRollBack: false,
  tasks: tasks().map((task) => ({ ...task, doneAt: at(90_000), by: 'asha' })),
};

/** The service was back after its own objective, and its database within. */
export const serviceLate: IncidentState = {
  ...recovered,
  measured: { rtoSeconds: 420, rpoSeconds: 4.2 },
  components: [
    {
      ...{
        name: 'main',
        kind: 'database',
        objectives: { rtoSeconds: 900, rpoSeconds: 300 },
        rows: recovered.rows,
        doubts: [],
        lost: recovered.lost,
      },
      measured: { rtoSeconds: 400, rpoSeconds: 4.2 },
    },
    {
      ...{ name: 'web', kind: 'service', objectives: { rtoSeconds: 300 }, rows: [], doubts: [], lost: [] },
      measured: { rtoSeconds: 420, rpoSeconds: null },
    },
  ],
};

export const missed: IncidentState = {
  ...recovered,
  measured: { rtoSeconds: 1130, rpoSeconds: null, rpoNote: 'the restored copy holds no canary' },
  rows: [...rows, { table: 'public.payments', expected: 50_000, found: 41_002, ok: false }],
};

export const running: IncidentState = {
  ...base,
  steps: [...untilRestore, step('Restore beside', 71.1, undefined, { host: 'db1' })],
  ahead: after('Restore beside'),
  evidence,
  backup,
};

export const waitingForApproval: IncidentState = {
  ...base,
  phase: 'waiting',
  steps: [...restored, step('Approve', 466, undefined)],
  ahead: after('Approve'),
  rows,
  evidence,
  backup,
  measured: { rtoSeconds: null, rpoSeconds: 4.2 },
  lost: ['Writes between 03:14:58 and 03:15:02 UTC: 4.2 seconds.'],
  questions: [
    {
      id: 2,
      kind: 'approval',
      step: 'Approve',
      text: 'Put the restored copy in place of the damaged database?',
      facts: [
        'The copy reaches 03:14:58 UTC: 4.2 seconds of writes are lost.',
        'Row counts: 4 of 4 tables as expected.',
        'amcheck found nothing; 2 of 2 queries gave the value of the plan.',
        'The damaged data directory, 24.5 GB, is kept in quarantine.',
      ],
      choices: [
        {
          name: 'approve',
          meaning: 'The restored copy takes the place of the damaged one, and the services are resumed.',
          needs: [],
        },
        { name: 'restore', meaning: 'Restores again, to another target time.', needs: ['target'] },
        { name: 'reject', meaning: 'Nothing is put in place; you are asked what to do instead.', needs: ['reason'] },
        { name: 'abort', meaning: 'Stops the recovery. Writes stay stopped.', needs: ['reason'] },
      ],
      askedAt: at(466),
    },
  ],
};

const problem = {
  message: 'the backup 20261121-020000F at onsite is damaged: 2 files differ from their checksums',
  hint: 'Retry with the next location, or restore from an older backup',
  type: 'BackupDamaged',
};
export const failedStep: IncidentState = {
  ...base,
  phase: 'waiting',
  steps: [...untilRestore, step('Restore beside', 71.1, 214, { status: 'failed', host: 'db1', attempts: 3, problem })],
  ahead: after('Restore beside'),
  evidence,
  questions: [
    {
      id: 1,
      kind: 'decision',
      step: 'Restore beside',
      text: 'The step “Restore beside” failed 3 times. What now?',
      facts: ['Nothing was put in place. The damaged database is stopped for writes and otherwise untouched.'],
      problem,
      choices: [
        { name: 'retry', meaning: 'Tries the step again.', needs: [] },
        { name: 'restore', meaning: 'Restores to another target time.', needs: ['target'] },
        { name: 'skip', meaning: 'Goes on without it.', needs: ['reason'] },
        { name: 'done', meaning: 'You did it by hand; say what.', needs: ['reason'] },
        { name: 'abort', meaning: 'Stops the recovery. Writes stay stopped.', needs: ['reason'] },
      ],
      askedAt: at(214),
    },
  ],
};

export const refused: IncidentState = {
  ...base,
  phase: 'refused',
  endedAt: at(0.8),
  target: '2026-11-20T23:00:00.000000Z',
  steps: [
    step('Check the request', 0, 0.8, {
      status: 'failed',
      host: 'db1',
      problem: {
        message: 'no backup can reach 2026-11-20 23:00:00 UTC: the oldest ends at 2026-11-21 02:00:00 UTC',
        hint: 'Give a later target time; lifeboat backup list shows what there is',
        type: 'NoBackup',
      },
    }),
  ],
  tasks: [],
  ending: 'Nothing was changed: the database main runs as before',
};

export const aborted: IncidentState = {
  ...base,
  phase: 'aborted',
  endedAt: at(260),
  steps: [
    ...untilRestore,
    step('Restore beside', 71.1, 260, {
      status: 'skipped',
      host: 'db1',
      problem,
      attempts: 3,
      decision: { by: 'ben', choice: 'abort', reason: 'We fail over to the standby by hand', at: at(260) },
    }),
  ],
  ahead: after('Restore beside'),
  evidence,
  ending: 'Writes to main stay stopped, and the damaged database is as it was',
};

const touchesProduction = ['Stop writes', 'Put it in place', 'Resume the service'];
export const drill: IncidentState = {
  ...recovered,
  id: 'shop-drill-20261121-031502',
  mode: 'drill',
  phase: 'closed',
  declaredBy: 'schedule',
  endedAt: at(1012.3),
  steps: recovered.steps.map((one) => (touchesProduction.includes(one.name) ? { ...one, rehearsed: true } : one)),
  notes: [],
  quarantine: [],
  tasks: [],
  warnings: [],
  canRollBack: false,
  ending: 'The scratch targets were removed, and production was not touched',
};

export const dryRun: IncidentState = {
  ...drill,
  id: 'shop-20261121-031502',
  mode: 'dry-run',
  declaredBy: 'asha',
  steps: recovered.steps.map((one) => ({ ...one, rehearsed: true })),
  measured: {
    rtoSeconds: null,
    rtoNote: 'a dry run restores nothing',
    rpoSeconds: null,
    rpoNote: 'a dry run restores nothing',
  },
  lost: [],
  rows: [],
  ending: 'Nothing was changed',
};

export const all = {
  recovered,
  serviceLate,
  closed,
  missed,
  running,
  waitingForApproval,
  failedStep,
  refused,
  aborted,
  drill,
  dryRun,
};
