import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { TimeoutFailure } from '@temporalio/common';
import { protectedBy, type Protected } from '../plan/access.js';
import { type BackupKind, type BackupType, kindOf, type BackupListing } from '../vocabulary/backup.js';
import type { LoadedPlan } from '../plan/load.js';
import { backupWorkId, controlQueue } from '../vocabulary/names.js';
import type {
  BackupInput,
  BackupResult,
  CleanUpInput,
  CleanUpResult,
  ListInput,
  RestoreInput,
  RestoreResult,
  TestedResult,
  TestInput,
  VerifyInput,
  VerifyResult,
} from '../vocabulary/backup-work.js';
import type { Progress } from '../vocabulary/incident.js';
import { priority } from '../vocabulary/priority.js';
import { ask, progressOf } from './workflow-query.js';
import { Expected, exitCodes } from './output.js';
import { onceBegun } from './patience.js';

/**
 * Work on the backups of a system, for the CLI and for scripts. Work on the same backups never runs twice at once,
 * whoever began it.
 */
export class Backups {
  /**
   * `alone`: nobody else can be at work; what runs was left by a command that was killed, and goes on only as long as
   * this one lets it.
   */
  constructor(
    private readonly plan: LoadedPlan,
    private readonly temporal: Client,
    private readonly alone = false,
  ) {}

  private get system(): string {
    return this.plan.plan.system;
  }

  create(component: string, type: BackupType): Promise<BackupResult> {
    const input: BackupInput = { system: this.system, component, type };
    return this.work('backup', kindOf(type), component, input, `${type} backup of ${component}`);
  }
  verify({ kind, component, ...which }: Omit<VerifyInput, 'system'>): Promise<VerifyResult> {
    const input: VerifyInput = { system: this.system, kind, component, ...which };
    const of = [which.id, which.location && `at ${which.location}`].filter(Boolean).join(' ');
    return this.work(
      'verifyBackups',
      kind,
      component,
      input,
      `verify the ${kind} backups of ${component}${of && `: ${of}`}`,
    );
  }
  restore(request: Omit<RestoreInput, 'system'>): Promise<RestoreResult> {
    const input: RestoreInput = { system: this.system, ...request };
    const into = request.into ?? 'the place of the old one';
    return this.work(
      'restoreBackup',
      request.kind,
      request.component,
      input,
      `restore ${request.id ?? request.file ?? ''} of ${request.component} into ${into}`,
    );
  }
  cleanUp(kind: BackupKind, component: string, dryRun: boolean): Promise<CleanUpResult> {
    const input: CleanUpInput = { system: this.system, kind, component, dryRun };
    return this.work(
      'cleanUpBackups',
      kind,
      component,
      input,
      `${dryRun ? 'dry run: ' : ''}clean up the ${kind} backups of ${component}`,
    );
  }
  /**
   * `backupVerification`: the newest on the host that the plan names; `restoreTest`: from each location in turn, to
   * staging.
   */
  test(component: string, workflow: 'backupVerification' | 'restoreTest'): Promise<TestedResult> {
    const input: TestInput = { system: this.system, component };
    return this.work(workflow, 'physical', component, input, `${workflow} of ${component}`);
  }

  /** All of them, however many pages that takes. */
  async list(component: string, kind: BackupKind = 'physical'): Promise<BackupListing> {
    const page = (after?: string): Promise<BackupListing> => {
      const input: Omit<ListInput, 'system'> = { kind, component, ...(after === undefined ? {} : { after }) };
      return ask(this.temporal, this.system, 'listBackups', input);
    };
    const { next: second, ...found } = await page();
    const known = new Map(found.backups.map((one) => [`${one.id} ${one.location}`, one]));
    for (let next = second; next !== undefined;) {
      const more = await page(next);
      const before = known.size;
      for (const one of more.backups) known.set(`${one.id} ${one.location}`, one);
      Object.assign(found.unreadable, more.unreadable);
      // A list that goes round has nothing new.
      next = known.size > before ? more.next : undefined;
    }
    return { ...found, backups: [...known.values()] };
  }

  /**
   * Of everything that the plan backs up, or of what is given. What cannot be listed is named, and the others still
   * listed.
   */
  async listAll(of: Protected[] = protectedBy(this.plan.plan)): Promise<BackupListing> {
    const answers = await Promise.all(
      of.map(async ({ kind, component }) =>
        this.list(component, kind).catch(async (error: unknown): Promise<BackupListing> => {
          if (error instanceof Expected) throw error;
          const { explainTemporal } = await import('./explain-temporal.js');
          const known = explainTemporal(error);
          if (!known) throw error;
          return { backups: [], unreadable: { [`of ${kind} ${component}`]: known.message } };
        }),
      ),
    );
    return {
      backups: answers.flatMap(({ backups }) => backups),
      unreadable: Object.assign({}, ...answers.map(({ unreadable }) => unreadable)) as Record<string, string>,
    };
  }

  progress(kind: BackupKind, component: string): Promise<Progress[]> {
    return progressOf(this.temporal, backupWorkId(this.system, kind, component));
  }

  /**
   * Starts work, or follows the same work that runs already. Throws {@link Expected} when other work on these backups
   * runs.
   */
  private async work<T>(
    workflow: string,
    kind: BackupKind,
    component: string,
    input: object,
    summary: string,
  ): Promise<T> {
    const workflowId = backupWorkId(this.system, kind, component);
    const { workflow: client } = this.temporal;
    try {
      const taskQueue = controlQueue(this.system);
      const first = workflow === 'restoreBackup' ? priority.asked : priority.backup;
      return await onceBegun(
        await client.start(workflow, { workflowId, taskQueue, args: [input], staticSummary: summary, priority: first }),
      );
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      const handle = client.getHandle(workflowId);
      const running = await handle.describe();
      const what = (await running.staticSummary()) ?? running.type;
      if (what === summary || what === `${summary}, by its schedule`) {
        try {
          return (await handle.result()) as T;
        } catch (failed) {
          // It waited for an agent while none was there, and has failed of that just now: this one was never asked.
          if (wasNotTaken(failed)) return this.work(workflow, kind, component, input, summary);
          throw failed;
        }
      }
      if (this.alone) {
        // A restore is brought to its end; all else can be begun anew at any time, and must not keep a restore waiting.
        const finish = running.type === 'restoreBackup';
        process.stderr.write(
          `A command that was killed left this: ${what}. First it is ${finish ? 'brought to its end' : 'ended'}.\n`,
        );
        if (!finish) await handle.cancel();
        await handle.result().catch(() => undefined);
        return this.work(workflow, kind, component, input, summary);
      }
      throw new Expected(
        `Nothing was begun: this runs since ${running.startTime.toISOString()}: ${what}.`,
        'Work on the same backups never runs side by side. Say it again when that has ended; it is shown in Temporal, too.',
        exitCodes.refused,
      );
    }
  }
}

function wasNotTaken(error: unknown): boolean {
  let deepest = error;
  while (deepest instanceof Error && deepest.cause instanceof Error) deepest = deepest.cause;
  return deepest instanceof TimeoutFailure && deepest.timeoutType === 'SCHEDULE_TO_START';
}
