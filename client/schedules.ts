import { ScheduleNotFoundError, ScheduleOverlapPolicy, type ScheduleOptions } from '@temporalio/client';
import { backupWorkflowId, controlQueue, scheduleId } from '../plan/names.js';
import { onlyDatabase } from '../plan/access.js';
import type { BackupType } from '../plan/kinds.js';
import type { BackupInput, IncidentInput } from '../workflows/messages.js';
import type { Lifeboat } from './lifeboat.js';

interface Line {
  id: string;
  says: string;
}

/** The plan's schedules in Temporal. What was missed while everything was down is caught up for minutes only: Temporal's own default is a year. */
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
        lines.push({ id: options.scheduleId, says: `as the plan says: ${options.spec.cronExpressions?.join(', ') ?? ''}` });
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
    for await (const { scheduleId: id } of this.lifeboat.temporal.schedule.list()) if (id.startsWith(prefix)) ids.push(id);
    return ids.sort();
  }

  private wanted(): ScheduleOptions[] {
    const { plan, digest } = this.lifeboat.plan;
    const taskQueue = controlQueue(plan.system);
    const policies = { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '5 minutes' } as const;
    const spec = (cron: string) => ({ cronExpressions: [cron], timezone: plan.timezone });
    const backups = Object.entries(plan.databases).flatMap(
      ([
        database,
        {
          backups: { physical },
        },
      ]) =>
        (['full', 'differential', 'incremental'] as const satisfies readonly BackupType[]).flatMap((type): ScheduleOptions[] => {
          const cron = physical?.[type];
          if (!cron) return [];
          const args: [BackupInput] = [{ system: plan.system, component: database, type }];
          return [
            {
              scheduleId: scheduleId(plan.system, `backup/${database}/${type}`),
              spec: spec(cron),
              policies,
              action: {
                type: 'startWorkflow',
                workflowType: 'backup',
                workflowId: backupWorkflowId(plan.system, database),
                taskQueue,
                args,
              },
            },
          ];
        }),
    );
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
    return [...backups, ...drills];
  }
}
