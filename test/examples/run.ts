import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { protectedBy } from '../../plan/access.js';
import { scheduleId } from '../../vocabulary/names.js';
import { parsePlan } from '../../plan/load.js';
import type { Lab } from '../../lab/lab.js';
import { findTool } from '../../lab/tools.js';
import { until } from '../../lab/wait.js';
import { expectNoSecrets } from '../helpers/histories.js';
import { endLab, lifeboatOf, ran } from '../helpers/incident.js';
import type { BackupRecord } from '../../vocabulary/backup.js';
import type { CleanUpResult, RestoreResult } from '../../vocabulary/backup-work.js';
import { exampleFile, exampleLab } from './example.js';

/** The backup section of one of the five plans runs: scheduled, backed up, verified, restored. */
export function testExample(name: string): void {
  let lab: Lab | undefined;
  afterAll(() => endLab(lab));
  const needsWalG = /engine: wal-g/.test(readFileSync(exampleFile(name), 'utf8'));
  const title = `${name}: scheduled, backed up at every location, verified, and restored`;
  test.skipIf(needsWalG && !findTool('wal-g'))(
    needsWalG ? `${title} (needs wal-g on PATH; at S3, since WAL-G reaches no emulator of GCS)` : title,
    { timeout: 900_000 },
    async () => {
      lab = await exampleLab(name);
      await runExample(lab);
    },
  );
}

async function runExample(here: Lab): Promise<void> {
  expect(await ran(here, ['check'])).toMatch(/./);
  await Promise.all([here.startControl(), here.startAgents()]);
  const { plan } = (await lifeboatOf(here)).plan;
  await scheduled(here);

  await ran(here, ['backup', 'create', '--all']);
  await bySchedule(here);
  const taken = await list(here);
  for (const { kind, component } of protectedBy(plan)) {
    const locations =
      kind === 'physical' || kind === 'logical'
        ? plan.databases[component]!.backups[kind]!.locations
        : plan[kind][component]!.locations;
    for (const location of locations)
      expect(
        taken.filter((one) => one.kind === kind && one.component === component && one.location === location),
        `${kind} backups of ${component} at ${location}`,
      ).not.toEqual([]);
  }

  await ran(here, ['backup', 'verify']);
  for (const one of await list(here))
    expect(one.verified, `${one.id} of ${one.component} at ${one.location} is verified`).toBeDefined();

  await restored(here, taken);
  const { verification, restoreTest } = plan.databases['main']!.backups;
  if (verification ?? restoreTest) {
    await ran(here, ['backup', 'test', ...(verification ? [] : ['--staging'])]);
    expect(await ran(here, ['backup', 'list'])).toMatch(/last restored in .+ on /);
  }
  const cleaned = JSON.parse(await ran(here, ['backup', 'cleanup', '--dry-run', '--json'])) as CleanUpResult[];
  expect(
    cleaned.flatMap(({ removed }) => removed),
    'what the plan keeps stays',
  ).toEqual([]);
  await expectNoSecrets(here);
}

const list = async (lab: Lab): Promise<BackupRecord[]> =>
  (JSON.parse(await ran(lab, ['backup', 'list', '--json'])) as { backups: BackupRecord[] }).backups;

/** Every schedule of the plan is applied, in its timezone. */
async function scheduled(lab: Lab): Promise<void> {
  await ran(lab, ['schedules', 'apply']);
  const { temporal } = await lifeboatOf(lab);
  const { timezone } = parsePlan(readFileSync(lab.planPath, 'utf8'), lab.planPath);
  const wanted = (
    readFileSync(lab.planPath, 'utf8').match(
      /^\s*(- )?(.*\b)?(schedule|full|incremental|differential): \S+ \S+ \S+ \S+ \S+$/gm,
    ) ?? []
  ).length;
  const listed = await until('the schedules are listed', async () => {
    const lines = JSON.parse(await ran(lab, ['schedules', 'list', '--json'])) as { id: string; next: string | null }[];
    return lines.length >= wanted ? lines : undefined;
  });
  for (const { id, next } of listed) {
    expect(next, `when ${id} is next`).not.toBeNull();
    const { spec } = await temporal.schedule.getHandle(id).describe();
    expect(spec.timezone ?? 'UTC', `the timezone of ${id}`).toBe(timezone);
  }
}

/** One of the schedules does its work when its time comes. */
async function bySchedule(lab: Lab): Promise<void> {
  const lifeboat = await lifeboatOf(lab);
  const [kind, type] = lab.plan.databases['main']!.backups.physical
    ? (['physical', 'full'] as const)
    : (['logical', 'logical'] as const);
  const newest = async () => (await lifeboat.backups.list('main', kind)).backups[0]!.id;
  const before = await newest();
  const schedule = lifeboat.temporal.schedule.getHandle(scheduleId(lab.system, `backup/main/${type}`));
  await schedule.trigger();
  const { workflow } = await until(
    'the schedule has begun',
    async () => (await schedule.describe()).info.recentActions[0]?.action,
  );
  // To its end, which comes after the backup is listed: it is verified, and what is no longer kept goes.
  await lifeboat.temporal.workflow.getHandle(workflow.workflowId).result();
  expect((await newest()) > before, `the ${type} backup of the schedule is listed, and newer than ${before}`).toBe(
    true,
  );
}

/** The newest of every kind but the physical ones goes into something new. */
async function restored(lab: Lab, taken: BackupRecord[]): Promise<void> {
  for (const kind of ['logical', 'files', 'redis', 'code'] as const) {
    for (const component of new Set(taken.filter((one) => one.kind === kind).map((one) => one.component))) {
      const { id } = taken.find((one) => one.kind === kind && one.component === component)!;
      const option = kind === 'logical' ? '--database' : `--${kind}`;
      const into = kind === 'logical' ? 'restored from a "dump"' : join(lab.directory, `restored-${kind}-${component}`);
      const result = JSON.parse(
        await ran(lab, ['backup', 'restore', id, option, component, '--into', into, '--json']),
      ) as RestoreResult;
      expect(result.into).toContain(into);
      if (kind === 'logical') {
        const rows = async (database: string) =>
          (await lab.primary.sql('SELECT count(*)::int AS n FROM orders', [], database))[0];
        expect(await rows(into), 'orders in the restored database').toEqual(await rows(lab.primary.database));
      } else {
        expect(existsSync(into), into).toBe(true);
        expect(readdirSync(into, { recursive: true }).length, `files below ${into}`).toBeGreaterThan(0);
      }
    }
  }
}
