import type { Client, WorkflowExecutionInfo, WorkflowHandle } from '@temporalio/client';
import type { IncidentState, Phase, Progress } from '../vocabulary/incident.js';
import type { Abort, Decision } from '../vocabulary/question.js';
import { explainTemporal } from './explain-temporal.js';
import { Expected, exitCodes } from './output.js';
import { atOnce } from './patience.js';
import { progressOf } from './workflow-query.js';

/** A run of an incident. */
export interface Place {
  workflowId: string;
  runId?: string;
}

/** One incident, as a person talks with it. */
export class Incident {
  /** `where`: the workflow ID, or what finds it. */
  constructor(
    private readonly temporal: Client,
    private readonly where: string | (() => Promise<Place>),
    private runId?: string,
  ) {}

  /** The run in which it is now. */
  async locate(): Promise<Place> {
    if (typeof this.where === 'function') return this.where();
    return { workflowId: this.where, ...(this.runId === undefined ? {} : { runId: this.runId }) };
  }

  private async handle(): Promise<WorkflowHandle> {
    const { workflowId, runId } = await this.locate();
    return this.temporal.workflow.getHandle(workflowId, runId);
  }
  async state(): Promise<IncidentState> {
    const handle = await this.handle();
    const state = await atOnce(this.temporal, () => handle.query<IncidentState>('state')).catch((error: unknown) =>
      unanswered(handle, error),
    );
    if (this.runId === undefined || state.leaving?.what !== 'escalate') return state;
    // It went over into another scenario, which is another run.
    delete this.runId;
    return this.state();
  }
  /** The choice of the question that asks whether to go on. */
  approve(approval: Omit<Decision, 'choice'>): Promise<string> {
    return this.decide({ ...approval, choice: 'approve' });
  }
  decide(decision: Decision): Promise<string> {
    return this.say('decide', decision);
  }
  note(note: { by: string; text: string; task?: string }): Promise<string> {
    return this.say('note', note);
  }
  abort(abort: Abort): Promise<string> {
    return this.say('abort', abort);
  }
  closeIt(close: { by: string; leaveTasksOpen?: string }): Promise<string> {
    return this.say('close', close);
  }
  /** Taken or refused at once; what the incident has to look at first may take it some seconds more. */
  private async say(update: string, said: object): Promise<string> {
    const handle = await this.handle();
    const taken = await atOnce(this.temporal, () =>
      handle.startUpdate<string, [object]>(update, { args: [said], waitForStage: 'ACCEPTED' }),
    );
    return this.temporal.withDeadline(Date.now() + 120_000, () => taken.result());
  }
  async progress(): Promise<Progress[]> {
    const { workflowId, runId } = await this.locate();
    return progressOf(this.temporal, workflowId, runId);
  }
  /** True while the workflow runs, whatever its phase. */
  async running(): Promise<boolean> {
    return (await (await this.handle()).describe()).status.name === 'RUNNING';
  }
  /** The failure with which it ended, when it was refused. */
  async refusal(): Promise<unknown> {
    return (await this.handle()).result().then(
      () => undefined,
      (error: unknown) => error,
    );
  }
}

/**
 * Temporal keeps how far an incident is, also while no control worker can be asked: that is said with why it does not
 * answer. Throws.
 */
async function unanswered(handle: WorkflowHandle, error: unknown): Promise<never> {
  const why = explainTemporal(error);
  if (why?.code !== exitCodes.noAnswer) throw error;
  const step = await handle.describe().then(
    ({ memo }) => stepIn(memo),
    () => null,
  );
  if (step === null) throw error;
  throw new Expected(`${why.message} By what Temporal keeps of it, it is at "${step}".`, why.hint ?? '', why.code);
}

/** Phases in which nothing more happens by itself. */
export const settled = (phase: Phase): boolean => phase !== 'open' && phase !== 'waiting';

/** As the incident itself notes it, at each step and at the end of each activity. */
export function stepIn(memo: WorkflowExecutionInfo['memo']): string | null {
  const { step } = (memo?.['progress'] ?? {}) as { step?: unknown };
  return typeof step === 'string' && step !== '' ? step : null;
}
