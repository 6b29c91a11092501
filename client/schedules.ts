import { ScheduleNotFoundError, ScheduleOverlapPolicy, type ScheduleOptions } from '@temporalio/client';
import { controlQueue, scheduleId } from '../vocabulary/names.js';
import { onlyDatabase } from '../plan/access.js';
import { type BackupType, physicalTypes } from '../vocabulary/backup.js';
import type { Plan } from '../plan/schema.js';
import type { IncidentInput } from '../vocabulary/declaration.js';
import type { ScheduledWork } from '../vocabulary/backup-work.js';
import type { Lifeboat } from './lifeboat.js';

interface Line {
  id: string;
  says: string;
}

/**
 * The plan's schedules in Temporal. What was missed while everything was down is caught up for minutes only: Temporal's
 * own default is a year.
 */
export class Schedules {
  constructor(private readonly lifeboat: Lifeboat) {}

  /** Creates, updates and removes until Temporal has what the plan says. Done twice, it is done once. */
  async apply(): Promise<Line[]> {
    const lines: Line[] = [];
    const wanted = this.wanted();
    for (const options of wanted) {
      const handle = this.lifeboat.temporal.schedule.getHandle(options.scheduleId);
      try {
        await handle.update((now) => ({
          ...now,
          spec: options.spec,
          action: options.action,
          policies: { ...now.policies, ...options.policies },
        }));
        lines.push({
          id: options.scheduleId,
          says: `as the plan says: ${options.spec.cronExpressions?.join(', ') ?? ''}`,
        });
      } catch (error) {
        if (!(error instanceof ScheduleNotFoundError)) throw error;
        await this.lifeboat.temporal.schedule.create(options);
        lines.push({ id: options.scheduleId, says: `created: ${options.spec.cronExpressions?.join(', ') ?? ''}` });
      }
    }
    for (const id of await this.mine()) {
      if (wanted.some(({ scheduleId: one }) => one === id)) continue;
      await this.lifeboat.temporal.schedule.getHandle(id).delete();
      lines.push({ id, says: 'removed: the plan no longer has it' });
    }
    return lines;
  }

  async list(): Promise<(Line & { paused: boolean; next: string | null })[]> {
    return Promise.all(
      (await this.mine()).map(async (id) => {
        const { state, info } = await this.lifeboat.temporal.schedule.getHandle(id).describe();
        const next = info.nextActionTimes[0]?.toISOString() ?? null;
        const last = info.recentActions.at(-1)?.takenAt.toISOString();
        return {
          id,
          paused: state.paused,
          next,
          says: `${state.paused ? `PAUSED (${state.note ?? ''})` : `next ${next ?? 'never'}`}${last ? `, last ${last}` : ''}`,
        };
      }),
    );
  }

  async pause(reason: string): Promise<Line[]> {
    return this.each(async (id) => {
      await this.lifeboat.temporal.schedule.getHandle(id).pause(reason);
      return 'paused';
    });
  }
  async resume(reason: string): Promise<Line[]> {
    return this.each(async (id) => {
      await this.lifeboat.temporal.schedule.getHandle(id).unpause(reason);
      return 'resumed';
    });
  }

  private async each(work: (id: string) => Promise<string>): Promise<Line[]> {
    return Promise.all((await this.mine()).map(async (id) => ({ id, says: await work(id) })));
  }

  /** IDs of this system's schedules. */
  private async mine(): Promise<string[]> {
    const ids: string[] = [];
    const prefix = scheduleId(this.lifeboat.system, '');
    for await (const { scheduleId: id } of this.lifeboat.temporal.schedule.list())
      if (id.startsWith(prefix)) ids.push(id);
    return ids.sort();
  }

  private wanted(): ScheduleOptions[] {
    const { plan, digest } = this.lifeboat.plan;
    const taskQueue = controlQueue(plan.system);
    const policies = { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '5 minutes' } as const;
    const spec = (cron: string) => ({ cronExpressions: [cron], timezone: plan.timezone });
    const work = scheduledWork(plan).map(({ id, cron, work }): ScheduleOptions => {
      const args: [ScheduledWork] = [work];
      return {
        scheduleId: scheduleId(plan.system, id),
        spec: spec(cron),
        policies,
        action: {
          type: 'startWorkflow',
          workflowType: 'scheduledWork',
          workflowId: scheduleId(plan.system, `scheduled/${id}`),
          taskQueue,
          args,
        },
      };
    });
    const drills = plan.drills.map(({ scenario, database, schedule }): ScheduleOptions => {
      const args: [IncidentInput] = [
        {
          system: plan.system,
          scenario,
          database: database ?? onlyDatabase(plan) ?? '',
          declaredBy: 'schedule',
          mode: 'drill',
          planDigest: digest,
        },
      ];
      const id = `drill/${scenario}/${args[0].database}`;
      return {
        scheduleId: scheduleId(plan.system, id),
        spec: spec(schedule),
        policies,
        action: {
          type: 'startWorkflow',
          workflowType: 'scheduledDrill',
          workflowId: scheduleId(plan.system, `scheduled-${id}`),
          taskQueue,
          args,
        },
      };
    });
    return [...work, ...drills];
  }
}

/** Backups and their tests, each with its cron. */
function scheduledWork(plan: Plan): { id: string; cron: string; work: ScheduledWork }[] {
  const { system } = plan;
  const backup = (component: string, type: BackupType, cron: string | undefined) =>
    cron
      ? [
          {
            id: `backup/${component}/${type}`,
            cron,
            work: { workflow: 'backup', input: { system, component, type } } as const,
          },
        ]
      : [];
  const databases = Object.entries(plan.databases).flatMap(([component, { backups }]) => {
    const { physical, logical, verification, restoreTest } = backups;
    const test = (workflow: 'backupVerification' | 'restoreTest', name: string, cron: string | undefined) =>
      cron ? [{ id: `${name}/${component}`, cron, work: { workflow, input: { system, component } } as const }] : [];
    return [
      ...physicalTypes.flatMap((type) => backup(component, type, physical?.[type])),
      ...backup(component, 'logical', logical?.schedule),
      ...test('backupVerification', 'verification', verification?.schedule),
      ...test('restoreTest', 'restore-test', restoreTest?.schedule),
    ];
  });
  const others = (['files', 'redis', 'code'] as const).flatMap((kind) =>
    Object.entries<{ schedule?: string | undefined }>(plan[kind]).flatMap(([component, { schedule }]) =>
      backup(component, kind, schedule),
    ),
  );
  return [...databases, ...others];
}
