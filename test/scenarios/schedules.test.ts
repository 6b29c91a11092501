import { writeFileSync } from 'node:fs';
import { ScheduleOverlapPolicy } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { createLab, type Lab } from '../../lab/lab.js';
import { until } from '../../lab/wait.js';
import { backupWorkId, drillWorkflowId, scheduleId } from '../../vocabulary/names.js';
import { expectInService } from '../helpers/end-state.js';
import { expectNoSecrets } from '../helpers/histories.js';
import {
  declare,
  endLab,
  ended,
  lifeboatOf,
  noIncident,
  protect,
  ran,
  refused,
  untilPhase,
  untilQuestion,
} from '../helpers/incident.js';

/** Backups and drills on their schedules, and backups by hand. */
describe('backups and schedules', { timeout: 900_000 }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await createLab({
      fast: true,
      plan: (plan) => {
        Object.assign(plan.databases['main']!.backups.physical!, {
          full: '0 2 * * 0',
          differential: '0 2 * * 1-6',
          incremental: '0 */6 * * *',
        });
        plan.drills = [{ scenario: 'database-corruption', schedule: '0 3 1 * *' }];
      },
    });
    await protect(lab);
  }, 900_000);
  beforeEach(() => noIncident(lab));
  afterAll(() => endLab(lab));

  const backups = async () => (await (await lifeboatOf(lab)).backups.list('main')).backups;
  const id = (what: string): string => scheduleId(lab.system, what);
  const all = [
    'backup/main/differential',
    'backup/main/full',
    'backup/main/incremental',
    'drill/database-corruption/main',
  ];
  /** What Temporal lists comes a moment after what it has. */
  const listed = (count: number) =>
    until('the schedules are listed', async () => {
      const lines = JSON.parse(await ran(lab, ['schedules', 'list', '--json'])) as {
        id: string;
        paused: boolean;
        next: string | null;
      }[];
      return lines.length === count ? lines : undefined;
    });

  test('backup create takes a full, a differential and an incremental backup, and lists them', async () => {
    await ran(lab, ['backup', 'create', '--differential']);
    const taken = JSON.parse(await ran(lab, ['backup', 'create', '--incremental', '--json'])) as { id: string };
    expect((await backups()).map(({ type }) => type)).toEqual(['incremental', 'differential', 'full']);
    expect((await backups())[0]!.id).toBe(taken.id);
    expect(await ran(lab, ['backup', 'list'])).toMatch(/incremental.*\n.*differential.*\n.*full/);
    await refused(lab, ['backup', 'create', '--full', '--incremental'], 2, /One kind at a time/);
  });

  test('schedules apply: what the plan says, overlap skipped, caught up for five minutes only; applied twice, it is applied once', async () => {
    expect(await ran(lab, ['schedules', 'apply'])).toMatch(/backup\/main\/full: created: 0 2 \* \* 0/);
    await ran(lab, ['schedules', 'apply']);
    const lines = await listed(4);
    expect(lines.map((line) => line.id)).toEqual(all.map(id));
    const { temporal } = await lifeboatOf(lab);
    for (const line of lines) {
      const { policies, spec } = await temporal.schedule.getHandle(line.id).describe();
      expect(policies.overlap).toBe(ScheduleOverlapPolicy.SKIP);
      expect(policies.catchupWindow).toBe(5 * 60_000);
      expect(spec.timezone).toBe('UTC');
      expect(Date.parse(line.next!)).toBeGreaterThan(Date.now());
    }
  });

  test('schedules pause and resume all of them, with the reason', async () => {
    await ran(lab, ['schedules', 'pause', '--reason', 'the disk is being replaced']);
    expect((await listed(4)).every(({ paused }) => paused)).toBe(true);
    expect(await ran(lab, ['schedules', 'list'])).toMatch(/PAUSED \(the disk is being replaced\)/);
    await ran(lab, ['schedules', 'apply']);
    expect(
      (await listed(4)).every(({ paused }) => paused),
      'to apply is not to resume',
    ).toBe(true);
    await ran(lab, ['schedules', 'resume']);
    expect((await listed(4)).some(({ paused }) => paused)).toBe(false);
  });

  test('a schedule takes its backup, and its drill is listed and reported like any other', async () => {
    const { temporal } = await lifeboatOf(lab);
    const before = await backups();
    await temporal.schedule.getHandle(id('backup/main/incremental')).trigger();
    await until('the scheduled backup is listed', async () => (await backups()).length === before.length + 1, 60, 500);
    await temporal.schedule.getHandle(id('drill/database-corruption/main')).trigger();
    const drill = await until(
      'the scheduled drill has ended',
      async () => (await (await lifeboatOf(lab)).incidents()).find((one) => one.drill && one.endedAt !== null),
      60,
      500,
    );
    expect(drill).toMatchObject({ phase: 'closed', scenario: 'database-corruption' });
    const priorityOf = async (workflowId: string) =>
      (await temporal.workflow.getHandle(workflowId).describe()).priority;
    expect(await priorityOf(drillWorkflowId(lab.system)), 'after a real incident').toMatchObject({ priorityKey: 4 });
    expect(await priorityOf(backupWorkId(lab.system, 'physical', 'main')), 'last').toMatchObject({ priorityKey: 5 });
    expect(await ran(lab, ['report', drill.id])).toMatch(/DRILL/);
    await expectInService(lab, 1);
  });

  test('a backup while an incident is open is refused, with the reason', async () => {
    const { id: incident } = await declare(lab);
    await untilQuestion(lab, 'approval', 'Choose the target');
    const before = await backups();
    await refused(
      lab,
      ['backup', 'create', '--full'],
      3,
      new RegExp(`no backup is taken of main while incident ${incident} is open on it`),
    );
    expect(await backups()).toEqual(before);
    await ran(lab, ['abort', '--resume', '--reason', 'nothing is damaged']);
    await untilPhase(lab, 'aborted');
    await ended(lab);
    await ran(lab, ['backup', 'create', '--incremental']);
  });

  test('schedules that the plan no longer has are removed', async () => {
    const plan = structuredClone(lab.plan);
    delete plan.databases['main']!.backups.physical!.differential;
    plan.drills = [];
    writeFileSync(lab.planPath, stringify(plan));
    expect(await ran(lab, ['schedules', 'apply'])).toMatch(/differential: removed: the plan no longer has it/);
    expect((await listed(2)).map((line) => line.id)).toEqual([id('backup/main/full'), id('backup/main/incremental')]);
  });

  test('no history, no report and no log holds a secret or a command', () => expectNoSecrets(lab));
});
