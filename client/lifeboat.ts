import { randomUUID } from 'node:crypto';
import {
  Client,
  Connection,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type WorkflowExecutionInfo,
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
  recoveredWorkflowId,
  workflowTypeOf,
} from '../vocabulary/names.js';
import { searchAttributeNames } from '../vocabulary/search-attributes.js';
import type { ScenarioName } from '../vocabulary/scenario.js';
import type { AlertsNow, TestedChannel } from '../vocabulary/alert.js';
import type { Declared, IncidentInput } from '../vocabulary/declaration.js';
import type { DoctorResult } from '../vocabulary/check.js';
import type { Mode } from '../vocabulary/incident.js';
import { priority } from '../vocabulary/priority.js';
import { ask } from './workflow-query.js';
import { Backups } from './backups.js';
import { Incident, type Place, stepIn } from './incident.js';
import { noIncident } from './explain-temporal.js';
import { Expected, exitCodes } from './output.js';
import { atOnce, nobody, onceBegun, wasWithdrawn, withdrawUnlessBegun } from './patience.js';

export interface IncidentSummary {
  id: string;
  workflowId: string;
  runId: string;
  scenario: string;
  phase: string;
  /** The step at which it is; null where none began. Known without a control worker. */
  step: string | null;
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
   * Declares an incident, or attaches to the one that is open: a system has one at a time. Returns when its request was
   * checked, before anything is changed.
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
      args: [
        { ...input, request, system: this.system, scenario, planDigest: this.plan.digest } satisfies IncidentInput,
      ],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      staticSummary: `${scenario} of ${input.database}${input.mode === 'real' ? '' : ` (${input.mode})`}, declared by ${input.declaredBy}`,
      typedSearchAttributes: searchAttributes(this.system, scenario, input.mode !== 'real'),
      priority: input.mode === 'real' ? priority.incident : priority.drill,
    });
    start.workflowHandle().catch(() => undefined);
    // Started and asked in one call: an incident that is refused at once could be over before a second call came.
    const asked = await atOnce(this.temporal, () =>
      this.temporal.workflow.startUpdateWithStart<(input: IncidentInput) => Promise<unknown>, Declared, []>(
        'declared',
        {
          startWorkflowOperation: start,
          waitForStage: 'ACCEPTED',
        },
      ),
    ).catch(async (error: unknown) => {
      const withdrawn = await withdrawUnlessBegun(this.temporal.workflow.getHandle(workflowId)).catch(() => false);
      throw withdrawn ? nobody : error;
    });
    const declared = await asked.result();
    const { firstExecutionRunId } = (await start.workflowHandle()) as { firstExecutionRunId?: string };
    return {
      incident: new Incident(this.temporal, workflowId, firstExecutionRunId),
      declared,
      attached: declared.request !== request,
    };
  }

  /**
   * The incident (or drill) that is meant: by its name as `lifeboat incidents` lists it, else the one that is open,
   * else the one that waits for its tasks, else the last one. Found anew whenever it is asked, since a recovered one
   * goes on in another run. What is asked of it throws {@link Expected} when there is none of that name, and when
   * several wait for their tasks and none is named.
   */
  incident(mode: Mode = 'real', id?: string): Incident {
    if (id !== undefined) return new Incident(this.temporal, async () => this.named(id));
    if (mode !== 'real') return new Incident(this.temporal, drillWorkflowId(this.system));
    return new Incident(this.temporal, () => this.meant());
  }

  /** True while an incident holds the lock of the system: it recovers, is rolled back, or asks. */
  async locked(): Promise<boolean> {
    const lock = await this.temporal.workflow.getHandle(incidentWorkflowId(this.system)).describe().catch(ifThere);
    return lock?.status.name === 'RUNNING';
  }

  /** `open`: it recovers, asks, is rolled back, or waits for its tasks. Throws {@link Expected}. */
  private async meant(): Promise<Place & { open: boolean }> {
    const workflowId = incidentWorkflowId(this.system);
    const lock = await this.temporal.workflow.getHandle(workflowId).describe().catch(ifThere);
    // What resumes a service after an incident holds its lock, and is none.
    const last = lock === undefined || lock.type === 'resume' || wasWithdrawn(lock) ? undefined : lock;
    const here = { workflowId, ...(last ? { runId: last.runId } : {}) };
    if (last?.status.name === 'RUNNING') return { ...here, open: true };
    const all = (await this.incidents()).filter(({ drill }) => !drill);
    const open = all.filter(({ endedAt }) => endedAt === null);
    if (last) {
      // What Temporal lists is a moment behind: of the last one it is known where it waits.
      const id = nameOf(this.system, last);
      const beside = await this.temporal.workflow
        .getHandle(recoveredWorkflowId(this.system, id))
        .describe()
        .catch(ifThere);
      // Rolled back, it was in the lock again, and ended there.
      if (beside && beside.startTime > last.startTime) {
        const waits = { id, workflowId: beside.workflowId, runId: beside.runId };
        const others = open.filter((one) => one.id !== id);
        if (beside.status.name === 'RUNNING' && others.length > 0) throw several([waits, ...others]);
        if (beside.status.name === 'RUNNING' || others.length === 0)
          return { ...waits, open: beside.status.name === 'RUNNING' };
      }
    }
    if (open.length > 1) throw several(open);
    if (open[0]) return { ...open[0], open: true };
    if (last) return { ...here, open: false };
    // Temporal keeps what ended for a while only: the run that held the lock may be gone already.
    if (all[0]) return { ...all[0], open: false };
    throw none();
  }

  private async named(id: string): Promise<IncidentSummary> {
    const found = (await this.incidents()).find((one) => one.id === id);
    if (!found) throw new Expected(`There is no incident "${id}".`, 'See them all: lifeboat incidents');
    return found;
  }

  /**
   * For who only looks: the one that every other command means; where none is open, the last one, drills included. It
   * is the run of now, also when it goes on in another one. Throws {@link Expected} when there is none, or none of that
   * name.
   */
  async find(id: string | undefined, mode: Mode = 'real'): Promise<Incident> {
    if (id !== undefined || mode !== 'real') return this.incident(mode, id);
    const meant = await this.meant().catch((error: unknown) => {
      if (!(error instanceof NoIncident)) throw error;
      return undefined;
    });
    const [last] = meant?.open ? [] : await this.incidents();
    const found = last?.drill ? last : meant;
    if (!found) throw none();
    return new Incident(this.temporal, found.workflowId, found.runId);
  }

  /**
   * All incidents and drills of the system that Temporal still has, the newest first; those that run come first of all.
   */
  async incidents(): Promise<IncidentSummary[]> {
    const found = new Map<string, IncidentSummary & { at: number }>();
    const drills = drillWorkflowId(this.system);
    const lock = incidentWorkflowId(this.system);
    // What resumes a service after an incident holds its lock, and is none. A schedule adds the time to the workflow ID
    // of its drills.
    const query = `(WorkflowId = '${lock}' AND WorkflowType != 'resume') OR WorkflowId STARTS_WITH '${lock}/' OR WorkflowId STARTS_WITH '${drills}'`;
    for await (const execution of this.temporal.workflow.list({ query })) {
      if (wasWithdrawn(execution)) continue;
      const { workflowId, runId, startTime, closeTime, typedSearchAttributes, memo } = execution;
      const id = nameOf(this.system, execution);
      const at = startTime.getTime();
      // Its runs hand over to each other: how it stands is what the last one says.
      if ((found.get(id)?.at ?? 0) > at) continue;
      found.set(id, {
        id,
        workflowId,
        runId,
        scenario: typedSearchAttributes.get(keys.scenario) ?? '?',
        phase: typedSearchAttributes.get(keys.phase) ?? '?',
        step: stepIn(memo),
        drill: workflowId.startsWith(drills),
        declaredAt: typeof memo?.['declaredAt'] === 'string' ? memo['declaredAt'] : startTime.toISOString(),
        endedAt: closeTime?.toISOString() ?? null,
        at,
      });
    }
    return [...found.values()]
      .map(({ at: _, ...summary }) => summary)
      .sort(
        (a, b) => Number(a.endedAt !== null) - Number(b.endedAt !== null) || b.declaredAt.localeCompare(a.declaredAt),
      );
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
        const { attempt = 1, lastFailure } =
          raw.pendingActivities?.find(({ activityId }) => activityId === activity) ?? {};
        return attempt !== null && attempt > 1
          ? [{ channel, title, attempts: attempt - 1, why: lastFailure?.message ?? null }]
          : [];
      });
      return { ...now, sending };
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      const none = Object.values(this.plan.plan.notifications).every((channel) => channel === undefined);
      throw new Expected(
        'No alerts are kept of this system.',
        none
          ? 'Add notifications: to the plan, and start the control worker again.'
          : 'The control worker begins with it: lifeboat worker',
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
          throw new Expected(
            'An incident is open: it decides when the service is resumed.',
            'See it: lifeboat watch',
            exitCodes.refused,
          );
        }),
    );
  }
}

/** An incident that began in another run says its name. */
const nameOf = (
  system: string,
  { workflowId, startTime, memo }: Pick<WorkflowExecutionInfo, 'workflowId' | 'startTime' | 'memo'>,
): string =>
  typeof memo?.['incident'] === 'string'
    ? memo['incident']
    : incidentName(system, startTime, workflowId.startsWith(drillWorkflowId(system)) ? 'drill' : 'incident');

class NoIncident extends Expected {}
const none = (): Expected => new NoIncident(noIncident.message, noIncident.hint, noIncident.code);

function ifThere(error: unknown): undefined {
  if (!(error instanceof WorkflowNotFoundError)) throw error;
}

const several = (open: { id: string }[]): Expected =>
  new Expected(
    `Several incidents wait for their tasks: ${open.map(({ id }) => id).join(', ')}. Which one is meant?`,
    `Say which: --incident ${open[0]!.id}`,
  );

/** What an incident is found by in Temporal's own UI, from its first moment on. */
const searchAttributes = (system: string, scenario: ScenarioName, drill: boolean): SearchAttributePair[] => [
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
