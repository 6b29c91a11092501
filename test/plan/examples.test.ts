import { readdir, readFile } from 'node:fs/promises';
import { Cron } from 'croner';
import { beforeAll, describe, expect, it } from 'vitest';
import { placeOf } from '../../plan/access.js';
import { renderDocument } from '../../document/document.js';
import { formatProblems, loadPlan, PlanError } from '../../plan/load.js';
import type { Plan } from '../../plan/schema.js';

/** The backup sections of five real documents, row by row of the requirements. */

const day = 86_400;
const load = async (name: string): Promise<Plan> => {
  try {
    return (await loadPlan(`examples/${name}.yaml`)).plan;
  } catch (error) {
    throw error instanceof PlanError ? new Error(formatProblems(error)) : error;
  }
};
/** What a plan takes of its one database. */
const mainOf = (plan: Plan) => plan.databases.main!;
const places = (plan: Plan): string[] => Object.values(plan.locations).map(placeOf);

/** The longest time, in hours, between two moments of any of these schedules within a week. */
function longestGap(schedules: (string | undefined)[], timezone: string): number {
  const from = new Date('2026-11-22T00:00:00Z');
  const times = schedules
    .flatMap((schedule) => (schedule ? new Cron(schedule, { timezone }).nextRuns(7 * 24, from) : []))
    .map(Number)
    .filter((time) => time < from.getTime() + 7 * day * 1000)
    .sort((a, b) => a - b);
  return Math.max(...times.slice(1).map((time, at) => (time - times[at]!) / 3_600_000));
}

describe('insight-engine', () => {
  let plan: Plan;
  beforeAll(async () => void (plan = await load('insight-engine')));

  it('IE-1: full daily, WAL, kept 30 days, in S3', () => {
    const physical = mainOf(plan).backups.physical!;
    expect(physical).toMatchObject({ full: '0 2 * * *', keep: { daily: 30 } });
    expect(physical.locations.map((name) => placeOf(plan.locations[name]!))).toEqual(['s3://insight-engine-backups']);
    expect(plan.objectives).toEqual({ rto: 3600, rpo: 900 });
  });
  it('IE-2: a dump on demand', () =>
    expect(mainOf(plan).backups.logical).toEqual({ locations: ['offsite'], keep: { daily: 30 }, compression: true }));
  it('IE-3: the critical tables are counted', () =>
    expect(Object.keys(mainOf(plan).verify.rows)).toEqual(['users', 'data_sources']));
});

describe('bci-gpt', () => {
  let plan: Plan;
  beforeAll(async () => void (plan = await load('bci-gpt')));

  it('BG-1: a dump and the code, daily', () => {
    expect(mainOf(plan).backups.logical!.schedule).toBe('0 2 * * *');
    expect(plan.code.application!.schedule).toBe('30 2 * * *');
    expect(mainOf(plan).backups.physical).toBeUndefined();
  });
  it('BG-2: S3 in two regions, and Azure', () => {
    expect([plan.locations['us-east']!.s3!.region, plan.locations['eu-west']!.s3!.region]).toEqual([
      'us-east-1',
      'eu-west-1',
    ]);
    expect(plan.locations.azure!.azure!.account).toBe('bcigptbackups');
    for (const each of [mainOf(plan).backups.logical!, plan.code.application!])
      expect(each.locations).toEqual(['us-east', 'eu-west', 'azure']);
  });
  it('BG-7: restored to staging every month', () =>
    expect(mainOf(plan).backups.restoreTest).toEqual({ host: 'staging1', schedule: '0 4 1 * *' }));
  it('BG-11: its roles', () =>
    expect(Object.keys(plan.people.roles)).toEqual([
      'incidentCommander',
      'technicalLead',
      'communications',
      'customerSupport',
    ]));
});

describe('domainscope', () => {
  let plan: Plan;
  beforeAll(async () => void (plan = await load('domainscope')));

  it('DS-1: full daily at 02:00 IST, something every six hours', () => {
    const { full, incremental } = mainOf(plan).backups.physical!;
    expect([plan.timezone, full]).toEqual(['Asia/Kolkata', '0 2 * * *']);
    expect(longestGap([full, incremental], plan.timezone)).toBe(6);
  });
  it('DS-2: 30 daily and 12 monthly ones', () =>
    expect(mainOf(plan).backups.physical!.keep).toMatchObject({ daily: 30, monthly: 12 }));
  it('DS-3: encrypted, in S3-compatible storage', () => {
    for (const location of Object.values(plan.locations))
      expect(location).toMatchObject({
        encryption: 'env:BACKUP_PASSPHRASE',
        s3: { endpoint: 'https://s3.ksdc.example', pathStyle: true },
      });
  });
  it('DS-4: .env', () => expect(plan.files.environment!.paths).toContain('/srv/domainscope/.env'));
  it('DS-5: Redis daily', () => expect(plan.redis.cache!.schedule).toBe('0 3 * * *'));
  it('DS-7, DS-10: four hours, six hours, drilled every quarter', () => {
    expect(plan.objectives).toEqual({ rto: 4 * 3600, rpo: 6 * 3600 });
    expect(plan.drills).toEqual([{ scenario: 'database-corruption', database: 'main', schedule: '0 11 1 1,4,7,10 *' }]);
  });
});

describe('floyo', () => {
  let plan: Plan;
  beforeAll(async () => void (plan = await load('floyo')));

  it('FL-1: full daily at 02:00 UTC, custom format, compressed, 30 days; incremental every six hours, 7 days', () => {
    const { logical, physical } = mainOf(plan).backups;
    expect(plan.timezone).toBe('UTC');
    expect(logical).toMatchObject({ schedule: '0 2 * * *', compression: true, keep: { daily: 30 } });
    expect(physical).toMatchObject({ locations: ['backups'], keep: { incremental: 7 * day } });
    expect(longestGap([physical!.incremental], plan.timezone)).toBe(6);
  });
  it('FL-2: a directory, S3, and an off-site server', () => {
    expect(places(plan)).toEqual([
      '/srv/floyo/backups',
      's3://floyo-backups',
      'floyo@backup.floyo.example:/srv/backups/floyo',
    ]);
    expect(mainOf(plan).backups.logical!.locations).toEqual(['backups', 'remote', 'offsite']);
  });
  it('FL-3: verified weekly, restored to staging monthly, a drill of the corruption in the first quarter', () => {
    const { verification, restoreTest } = mainOf(plan).backups;
    expect([verification!.schedule, restoreTest!.schedule]).toEqual(['0 5 * * 0', '0 5 1 * *']);
    expect(plan.hosts[restoreTest!.host]!.region).toBe('staging');
    expect(plan.drills.map(({ schedule }) => schedule)).toEqual(['0 10 15 1 *']);
  });
  it('FL-4: uploads daily for 90 days, configuration daily', () => {
    expect(plan.files.uploads).toMatchObject({ schedule: '30 2 * * *', keep: { for: 90 * day } });
    expect(plan.files.configuration!.schedule).toBe('45 2 * * *');
  });
  it('FL-16, FL-17: PagerDuty, Slack and e-mail; who is called, and providers', () => {
    expect(Object.keys(plan.notifications).sort()).toEqual(['email', 'pagerduty', 'slack']);
    expect(plan.people.onCall).toEqual(['engineering-lead', 'senior-engineer', 'cto']);
    expect(Object.keys(plan.people.contacts)).toContain('backup-storage-provider');
  });
});

describe('bakhmach', () => {
  let plan: Plan;
  beforeAll(async () => void (plan = await load('bakhmach')));

  it('BK-1: objectives of its components', () => {
    expect(plan.objectives).toEqual({ rto: 3600, rpo: 900 });
    expect(mainOf(plan).objectives).toEqual({ rto: 900, rpo: 300 });
  });
  it('BK-2: WAL-G to Google Cloud Storage, daily', () => {
    expect(mainOf(plan).backups.physical).toMatchObject({ engine: 'wal-g', locations: ['gcs'], full: '0 2 * * *' });
    expect(places(plan)).toEqual(['gs://bakhmach-backups/db']);
  });
  it('BK-11, BK-12: restored weekly; an e-mail when a backup fails', () => {
    expect(mainOf(plan).backups.verification).toEqual({ host: 'ops1', schedule: '0 4 * * 0' });
    expect(plan.notifications.email!.to).toHaveLength(1);
  });
});

it('every example can be printed, and is named in the list of them', async () => {
  const files = (await readdir('examples')).filter((name) => name.endsWith('.yaml'));
  expect(files).toHaveLength(5);
  const readme = await readFile('examples/README.md', 'utf8');
  for (const file of files) {
    expect(
      renderDocument(await load(file.replace('.yaml', '')), { now: new Date('2026-11-21T03:15:00Z') }),
    ).not.toMatch(/undefined|\[object/);
    expect(readme).toContain(`(${file})`);
  }
});
