import { randomUUID } from 'node:crypto';
import {
  Client,
  Connection,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type WorkflowHandle,
  WithStartWorkflowOperation,
} from '@temporalio/client';
import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { LoadedPlan } from '../plan/load.js';
import {
  alertsWorkflowId,
  controlQueue,
  drillWorkflowId,
  incidentName,
  incidentWorkflowId,
  searchAttributeNames,
  workflowTypeOf,
} from '../plan/names.js';
import type { ScenarioName } from '../plan/schema.js';
import type { Abort, AlertsNow, Approval, Decision, Declared, DoctorResult, IncidentInput, TestedChannel } from '../workflows/messages.js';
import type { IncidentState, Mode, Phase, Progress } from '../workflows/state.js';
import { ask, progressOf } from './ask.js';
import { Backups } from './backups.js';
import { Expected, exitCodes } from './output.js';
import { atOnce, nobody, onceBegun, wasWithdrawn, withdrawUnlessBegun } from './patience.js';

export interface IncidentSummary {
  id: string;
  workflowId: string;
  runId: string;
  scenario: string;
  phase: string;
  drill: boolean;
  declaredAt: string;
  endedAt: string | null;
}

/** A notice that is on its way, and did not arrive at its first attempt. */
export interface Sending {
  channel: string;
  title: string;
  attempts: number;
  why: string | null;
}

/** What the CLI does, for scripts too: a small typed client of one system's incidents and backups. */
export class Lifeboat {
  /** Temporal runs for this command only, as it does without a plan file. */
  alone = false;

  private constructor(
    readonly plan: LoadedPlan,
    readonly temporal: Client,
  ) {}

  /** Connects with Temporal's own settings. Throws {@link Expected} when it does not answer. */
  static async connect(plan: LoadedPlan): Promise<Lifeboat> {
    const { connectionOptions, namespace } = loadClientConnectConfig();
    try {
      const connection = await Connection.connect({ ...connectionOptions, connectTimeout: '5 seconds' });
      return new Lifeboat(plan, new Client({ connection, namespace: namespace ?? 'default' }));
    } catch (error) {
      throw new Expected(
        `Temporal does not answer at ${connectionOptions.address ?? 'localhost:7233'}: ${(error as Error).message.split('\n')[0]}`,
        'Is it running, and is TEMPORAL_ADDRESS right? Start everything on this machine with: lifeboat up',
        exitCodes.noAnswer,
      );
    }
  }

  async close(): Promise<void> {
    await this.temporal.connection.close();
  }

  get backups(): Backups {
    return new Backups(this.plan, this.temporal, this.alone);
  }

  get system(): string {
    return this.plan.plan.system;
  }

  /**
   * Declares an incident, or attaches to the one that is open: a system has one at a time. Returns when its request was checked, before
   * anything is changed.
   */
  async declare(
    scenario: ScenarioName,
    input: Omit<IncidentInput, 'system' | 'scenario' | 'planDigest' | 'request'>,
  ): Promise<{ incident: Incident; declared: Declared; attached: boolean }> {
    const workflowId = input.mode === 'real' ? incidentWorkflowId(this.system) : drillWorkflowId(this.system);
    const request = randomUUID();
    const start = new WithStartWorkflowOperation(workflowTypeOf(scenario), {
      workflowId,
      taskQueue: controlQueue(this.system),
      args: [{ ...input, request, system: this.system, scenario, planDigest: this.plan.digest } satisfies IncidentInput],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      staticSummary: `${scenario} of ${input.database}${input.mode === 'real' ? '' : ` (${input.mode})`}, declared by ${input.declaredBy}`,
      typedSearchAttributes: searchAttributes(this.system, scenario, input.mode !== 'real'),
    });
    start.workflowHandle().catch(() => undefined);
    // Started and asked in one call: an incident that is refused at once could be over before a second call came.
    const asked = await atOnce(this.temporal, () =>
      this.temporal.workflow.startUpdateWithStart<(input: IncidentInput) => Promise<unknown>, Declared, []>('declared', {
        startWorkflowOperation: start,
        waitForStage: 'ACCEPTED',
      }),
    ).catch(async (error: unknown) => {
      const withdrawn = await withdrawUnlessBegun(this.temporal.workflow.getHandle(workflowId)).catch(() => false);
      throw withdrawn ? nobody : error;
    });
    const declared = await asked.result();
    const { firstExecutionRunId } = (await start.workflowHandle()) as { firstExecutionRunId?: string };
    return { incident: new Incident(this.temporal, workflowId, firstExecutionRunId), declared, attached: declared.request !== request };
  }

  /** The incident (or drill) that is open, or the last one that was. */
  incident(mode: Mode = 'real', runId?: string): Incident {
    return new Incident(this.temporal, mode === 'real' ? incidentWorkflowId(this.system) : drillWorkflowId(this.system), runId);
  }

  /** By its name as `lifeboat incidents` lists it. Throws {@link Expected} when there is none of that name. */
  async find(id: string | undefined): Promise<Incident> {
    if (!id) {
      const running = (await this.incidents()).find(({ endedAt }) => endedAt === null);
      const last = running ?? (await this.incidents())[0];
      if (!last)
        throw new Expected(
          'There was no incident yet.',
          'Declare one: lifeboat start database-corruption; or drill: lifeboat drill start database-corruption',
        );
      return new Incident(this.temporal, last.workflowId, last.runId);
    }
    const found = (await this.incidents()).find((one) => one.id === id);
    if (!found) throw new Expected(`There is no incident "${id}".`, 'See them all: lifeboat incidents');
    return new Incident(this.temporal, found.workflowId, found.runId);
  }

  /** All incidents and drills of the system that Temporal still has, the newest first; those that run come first of all. */
  async incidents(): Promise<IncidentSummary[]> {
    const found: IncidentSummary[] = [];
    const drills = drillWorkflowId(this.system);
    // What resumes a service after an incident holds its lock, and is none. A schedule adds the time to the workflow ID of its drills.
    const query = `(WorkflowId = '${incidentWorkflowId(this.system)}' AND WorkflowType != 'resume') OR WorkflowId STARTS_WITH '${drills}'`;
    for await (const { workflowId, runId, startTime, closeTime, typedSearchAttributes, ...execution } of this.temporal.workflow.list({
      query,
    })) {
      if (wasWithdrawn(execution)) continue;
      const drill = workflowId.startsWith(drills);
      found.push({
        id: incidentName(this.system, startTime, drill ? 'drill' : 'incident'),
        workflowId,
        runId,
        scenario: typedSearchAttributes.get(keys.scenario) ?? '?',
        phase: typedSearchAttributes.get(keys.phase) ?? '?',
        drill,
        declaredAt: startTime.toISOString(),
        endedAt: closeTime?.toISOString() ?? null,
      });
    }
    return found.sort((a, b) => Number(a.endedAt !== null) - Number(b.endedAt !== null) || b.declaredAt.localeCompare(a.declaredAt));
  }

  doctor(database: string): Promise<DoctorResult> {
    return ask(this.temporal, this.system, 'doctor', { database, planDigest: this.plan.digest });
  }

  /** What is wrong now. Throws {@link Expected} where no alerts are kept. */
  async alerts(): Promise<Omit<AlertsNow, 'sending'> & { sending: Sending[] }> {
    const handle = this.temporal.workflow.getHandle(alertsWorkflowId(this.system));
    try {
      const now = await atOnce(this.temporal, () => handle.query<AlertsNow>('alerts'));
      const { raw } = await handle.describe();
      const sending = now.sending.flatMap(({ channel, title, activity }): Sending[] => {
        const { attempt = 1, lastFailure } = raw.pendingActivities?.find(({ activityId }) => activityId === activity) ?? {};
        return attempt !== null && attempt > 1 ? [{ channel, title, attempts: attempt - 1, why: lastFailure?.message ?? null }] : [];
      });
      return { ...now, sending };
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      const none = Object.values(this.plan.plan.notifications).every((channel) => channel === undefined);
      throw new Expected(
        'No alerts are kept of this system.',
        none ? 'Add notifications: to the plan, and start the control worker again.' : 'The control worker begins with it: lifeboat worker',
        none ? exitCodes.badInput : exitCodes.noAnswer,
      );
    }
  }
  /** A test notice over every channel of the plan. */
  testAlerts(): Promise<TestedChannel[]> {
    return ask(this.temporal, this.system, 'testAlerts', {});
  }

  /** Opens what an ended incident left closed. Throws when an incident is open: it decides then. */
  async resume(database: string, incident: string): Promise<string> {
    return onceBegun(
      await this.temporal.workflow
        .start('resume', {
          workflowId: incidentWorkflowId(this.system),
          taskQueue: controlQueue(this.system),
          args: [{ system: this.system, database, incident }],
        })
        .catch((error: unknown) => {
          if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
          throw new Expected('An incident is open: it decides when the service is resumed.', 'See it: lifeboat watch', exitCodes.refused);
        }),
    );
  }
}

/** One incident, as a person talks with it. */
export class Incident {
  private readonly handle: WorkflowHandle;

  constructor(
    private readonly temporal: Client,
    readonly workflowId: string,
    readonly runId?: string,
  ) {
    this.handle = temporal.workflow.getHandle(workflowId, runId);
  }

  state(): Promise<IncidentState> {
    return atOnce(this.temporal, () => this.handle.query<IncidentState>('state'));
  }
  approve(approval: Approval): Promise<string> {
    return atOnce(this.temporal, () => this.handle.executeUpdate<string, [Approval]>('approve', { args: [approval] }));
  }
  decide(decision: Decision): Promise<string> {
    return atOnce(this.temporal, () => this.handle.executeUpdate<string, [Decision]>('decide', { args: [decision] }));
  }
  note(note: { by: string; text: string; task?: string }): Promise<string> {
    return atOnce(this.temporal, () => this.handle.executeUpdate<string, [typeof note]>('note', { args: [note] }));
  }
  abort(abort: Abort): Promise<string> {
    return atOnce(this.temporal, () => this.handle.executeUpdate<string, [Abort]>('abort', { args: [abort] }));
  }
  closeIt(close: { by: string; leaveTasksOpen?: string }): Promise<string> {
    return atOnce(this.temporal, () => this.handle.executeUpdate<string, [typeof close]>('close', { args: [close] }));
  }
  progress(): Promise<Progress[]> {
    return progressOf(this.temporal, this.workflowId, this.runId);
  }
  /** True while the workflow runs, whatever its phase. */
  async running(): Promise<boolean> {
    return (await this.handle.describe()).status.name === 'RUNNING';
  }
  /** The failure with which it ended, when it was refused. */
  async refusal(): Promise<unknown> {
    return this.handle.result().then(
      () => undefined,
      (error: unknown) => error,
    );
  }
}

/** Phases in which nothing more happens by itself. */
export const settled = (phase: Phase): boolean => phase !== 'open' && phase !== 'waiting';

/** What an incident is found by in Temporal's own UI, from its first moment on. */
export const searchAttributes = (system: string, scenario: ScenarioName, drill: boolean): SearchAttributePair[] => [
  { key: keys.system, value: system },
  { key: keys.scenario, value: scenario },
  { key: keys.phase, value: 'open' },
  { key: keys.drill, value: drill },
];

const keys = {
  system: defineSearchAttributeKey(searchAttributeNames.system, 'KEYWORD'),
  scenario: defineSearchAttributeKey(searchAttributeNames.scenario, 'KEYWORD'),
  phase: defineSearchAttributeKey(searchAttributeNames.phase, 'KEYWORD'),
  drill: defineSearchAttributeKey(searchAttributeNames.drill, 'BOOL'),
};
