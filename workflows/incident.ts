import { ApplicationFailure, getExternalWorkflowHandle, isCancellation, ParentClosePolicy, startChild } from '@temporalio/workflow';
import type { HostActivities } from '../activities/host.js';
import type { ControlActivities } from '../activities/control.js';
import type { PlanFacts } from '../vocabulary/plan-facts.js';
import { drillWorkflowId, incidentWorkflowId, recoveredWorkflowId, workflowTypeOf } from '../vocabulary/names.js';
import { scenarioTexts } from '../plan/scenarios.js';
import { onControl, onHost, type Patience } from './activities.js';
import { Conversation, Interrupted, now } from './conversation.js';
import { abortChoice, rollBackChoice } from './ending.js';
import type { Carried, IncidentInput } from '../vocabulary/declaration.js';
import type { Decision, Choice, Problem } from '../vocabulary/question.js';
import { problemOf, refuses } from './problems.js';
import { incidentAttributes } from './search-attributes.js';
import type { StepRecord } from '../vocabulary/incident.js';

/** What every scenario shares: the plan, the timeline of steps, what a failed step asks, and the clock. */

/** What a step touches says in which form a drill and a dry run call it. */
export type Touches = 'production' | 'scratch' | 'nothing';

export interface StepOptions<T> {
  /** Where it runs, for the timeline. */
  host?: string;
  touches?: Touches;
  /** What the scenario goes on with when a person skips the step or does it by hand; without it, neither is offered. */
  otherwise?: () => T;
  /** What is still to be done when a person did the step by hand; only then is that offered, and never to skip it. */
  byHand?: () => Promise<T>;
  /** Choices of this step besides retry, skip, done and abort. */
  choices?: Choice[];
}

interface Said {
  summary: string;
}

/** A question of a step was answered with a choice of the scenario's own. */
export class Chosen extends Error {
  constructor(readonly decision: Decision) {
    super(decision.choice);
    this.name = 'Chosen';
  }
}

export class Incident extends Conversation {
  private facts: PlanFacts | undefined;

  /** Reads the control worker's plan. Throws when it has no such database. */
  async readPlan(): Promise<void> {
    const { input, state } = this;
    if (input.carried) return;
    const plan = await onControl(input.system, 'look', `${input.scenario}: reading the plan`)
      .readPlan({ form: 'execute', database: input.database })
      .catch((error: unknown) => this.refuse(problemOf(error)));
    this.facts = plan;
    if (this.real) await this.endDrill();
    Object.assign(state, { objectives: plan.objectives, approvals: plan.approvals, planDigest: plan.planDigest });
    if (plan.planDigest !== input.planDigest)
      this.warn(`the control worker has plan ${plan.planDigest}, the incident was declared with ${input.planDigest}`);
  }

  /** A drill that runs gives way: it would take disk, time and the databases' attention from a real incident. */
  private async endDrill(): Promise<void> {
    await getExternalWorkflowHandle(drillWorkflowId(this.input.system))
      .cancel()
      .catch(() => undefined);
  }

  /**
   * Recovered, it waits for its tasks beside the lock of the system, which ends with this run: the next disaster may come before the debrief. To be
   * rolled back, it takes the lock again. Between the two nothing is taken from anybody. Throws WorkflowExecutionAlreadyStartedError.
   */
  async handOver(rollBack?: Carried['rollBack']): Promise<void> {
    const { input, state } = this;
    state.leaving ??= { what: 'hand over', by: 'Lifeboat' };
    const { leaving: _, ...known } = state;
    const carried: Carried = { state: known, plan: this.plan, asked: this.asked, ...(rollBack ? { rollBack } : {}) };
    await startChild(workflowTypeOf(input.scenario), {
      workflowId: rollBack ? incidentWorkflowId(input.system) : recoveredWorkflowId(input.system, state.id),
      args: [{ ...input, carried } satisfies IncidentInput],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      typedSearchAttributes: incidentAttributes(input, rollBack ? 'open' : 'recovered'),
      // Neither start is the moment of its declaration, by which incidents are named.
      memo: { incident: state.id, declaredAt: state.declaredAt },
      staticSummary: `${input.scenario} of ${input.database}, declared by ${state.declaredBy}: ${rollBack ? 'rolled back' : 'its tasks'}`,
    });
    if (!rollBack) delete state.leaving;
  }

  /** What the plan says, in names and numbers. */
  get plan(): PlanFacts {
    // Replayed, an answer may be heard before this run has done anything at all: what was carried over is there from its first moment on.
    const facts = this.facts ?? this.input.carried?.plan;
    if (!facts) throw ApplicationFailure.nonRetryable('the plan was not read yet');
    return facts;
  }

  /** What a host is told of it: which database, and whose hold is on it. */
  get names(): { database: string; incident: string } {
    return { database: this.input.database, incident: this.state.id };
  }

  private refuse(problem: Problem): never {
    this.settle('refused', 'nothing was changed');
    this.checked = this.declared('refused', problem);
    throw ApplicationFailure.create({ type: 'Refused', nonRetryable: true, message: problem.message, details: [{ hint: problem.hint }] });
  }

  /** The agent of a host, for work that touches production or a scratch copy. */
  host(name: string, patience: Patience): HostActivities {
    return onHost(this.input.system, name, patience, this.current?.name ?? this.input.scenario);
  }

  control(patience: Patience): ControlActivities {
    return onControl(this.input.system, patience, this.current?.name ?? this.input.scenario);
  }

  /** Whether something that touches production or scratch is done now, or proven possible. */
  form(touches: Touches): 'execute' | 'rehearse' {
    if (this.input.mode === 'real' || touches === 'nothing') return 'execute';
    return this.input.mode === 'drill' && touches === 'scratch' ? 'execute' : 'rehearse';
  }

  /**
   * Checks the request. What cannot work ends the incident as refused: nothing has been changed yet. Everything else that goes wrong here
   * (an agent that is offline) is a failed step like any other.
   */
  async check<T extends Said>(name: string, work: () => Promise<T>, options: StepOptions<T>): Promise<T> {
    const found = await this.step(name, work, options, (problem) => {
      if (refuses(problem)) this.refuse(problem);
    });
    this.checked ??= this.declared('accepted');
    return found;
  }

  /**
   * Runs one named step. When it fails for good, a person is asked: retry, skip with a reason, done by hand, or abort.
   * `refuse` may end the incident instead of asking.
   */
  async step<T extends Said>(
    name: string,
    work: () => Promise<T>,
    options: StepOptions<T> = {},
    refuse?: (problem: Problem) => void,
  ): Promise<T> {
    const record: StepRecord = { name, status: 'running', startedAt: now(), attempts: 1, ...(options.host ? { host: options.host } : {}) };
    if (!this.real && this.form(options.touches ?? 'production') === 'rehearse') record.rehearsed = true;
    this.state.steps.push(record);
    const all = scenarioTexts[this.input.scenario].steps.map((step) => step.name);
    if (all.includes(name)) this.state.ahead = all.slice(all.indexOf(name) + 1);
    this.noteProgress();
    let todo = work;
    let attested: Decision | undefined;
    for (;;) {
      this.show();
      try {
        const result = await todo();
        this.finish(record, attested ? 'by hand' : 'done', result.summary);
        if (attested) this.warn(`${name}: attested by ${attested.by}, not proven: ${attested.reason ?? ''}`);
        return result;
      } catch (error) {
        if (isCancellation(error) || error instanceof Interrupted) {
          record.status = 'failed';
          record.endedAt = now();
          record.problem ??= { message: 'it was ended by a person' };
          throw this.interrupted ? new Interrupted(this.interrupted.what) : error;
        }
        if (error instanceof Chosen) throw error;
        record.problem = problemOf(error);
        record.status = 'failed';
        record.endedAt = now();
        refuse?.(record.problem);
        const decision = await this.ask(record.problem, options);
        record.decision = {
          by: decision.by,
          choice: decision.choice,
          askedAt: this.askedAt,
          at: now(),
          ...(decision.reason ? { reason: decision.reason } : {}),
        };
        if (decision.choice === 'retry') {
          todo = work;
          attested = undefined;
          record.attempts += 1;
          record.status = 'running';
          delete record.endedAt;
        } else if (options.otherwise && (decision.choice === 'skip' || decision.choice === 'done')) {
          this.finish(record, decision.choice === 'skip' ? 'skipped' : 'by hand', decision.reason);
          const otherwise = options.otherwise();
          // What was not done stays in sight when everything else is: a recovery without it is no plain success.
          if (decision.choice === 'skip') this.warn(`${name} was skipped by ${decision.by}: ${otherwise.summary || 'it was not done'}`);
          return otherwise;
        } else if (options.byHand && decision.choice === 'done') {
          // What Lifeboat has to add to it is tried like the step itself.
          todo = options.byHand;
          attested = decision;
          record.status = 'running';
          delete record.endedAt;
        } else throw new Chosen(decision);
      }
    }
  }

  /** A question about a step that failed. */
  private ask<T>(problem: Problem, options: StepOptions<T>): Promise<Decision> {
    const choices: Choice[] = [
      { name: 'retry', meaning: 'try the step again', needs: [] },
      ...(options.otherwise ? [skipChoice] : []),
      ...(options.otherwise || options.byHand ? [doneChoice] : []),
      ...(options.choices ?? []),
      ...(this.state.canRollBack ? [rollBackChoice(this.state)] : []),
      abortChoice(this.state),
    ];
    return this.question('decision', `${this.current?.name ?? 'The step'} failed. What now?`, [], choices, problem);
  }

  /**
   * While a person was asked, the plan may have been mended: the incident goes on with it, and says so. Who declared it and how many people
   * approve stays as it was, and so does the host that it works on.
   */
  protected async afterAnswer(): Promise<void> {
    const { input, state, plan } = this;
    const now = await onControl(input.system, 'look', `${input.scenario}: reading the plan again`)
      .readPlan({ form: 'execute', database: input.database })
      .catch((error: unknown) => {
        if (isCancellation(error)) throw error;
        this.warn(`the plan cannot be read any more, and the incident goes on with ${plan.planDigest}: ${problemOf(error).message}`);
        return undefined;
      });
    if (!now || now.planDigest === state.planDigest) return;
    if (now.primary !== plan.primary) {
      this.warn(
        `plan ${now.planDigest} names ${now.primary} as the primary: this incident goes on on ${plan.primary}, as plan ${plan.planDigest} says`,
      );
      return;
    }
    this.warn(`the plan was changed in the middle of this incident: it was ${state.planDigest}, and goes on with ${now.planDigest}`);
    this.facts = now;
    Object.assign(state, { objectives: now.objectives, planDigest: now.planDigest });
  }

  /** A step that is a person's approval. A drill and a dry run approve themselves, and say so. */
  async approve(name: string, text: string, facts: string[], choices: Choice[]): Promise<Decision> {
    const record: StepRecord = {
      name,
      status: 'running',
      startedAt: now(),
      attempts: 1,
      details: facts,
      ...(this.real ? {} : { rehearsed: true }),
    };
    this.state.steps.push(record);
    this.state.ahead = this.state.ahead.filter((step) => step !== name);
    const decision: Decision = this.real
      ? await this.question('approval', text, facts, [...choices, abortChoice(this.state)])
      : { by: this.input.mode, choice: 'approve', reason: 'nothing of production is touched' };
    record.decision = {
      by: decision.by,
      choice: decision.choice,
      at: now(),
      ...((decision.reason ?? decision.comment) ? { reason: (decision.reason ?? decision.comment)! } : {}),
    };
    this.finish(record, 'done', `${decision.choice} by ${decision.by}`);
    return decision;
  }

  /** The moment from which the service is verified: the RTO. Without a verification there is none to measure. */
  serviceResumed(verified: boolean): void {
    const { measured } = this.state;
    if (this.input.mode === 'dry-run') measured.rtoNote = 'a dry run restores nothing';
    else if (!verified) measured.rtoNote = 'the service was resumed by hand, and Lifeboat did not verify it';
    else {
      measured.rtoSeconds = (Date.now() - Date.parse(this.state.declaredAt)) / 1000;
      delete measured.rtoNote;
    }
  }

  private finish(record: StepRecord, status: StepRecord['status'], summary?: string): void {
    record.status = status;
    record.endedAt = now();
    if (summary) record.summary = summary;
    if (status === 'done') delete record.problem;
    this.show();
  }
}

const skipChoice: Choice = { name: 'skip', meaning: 'go on without it', needs: ['reason'] };
const doneChoice: Choice = { name: 'done', meaning: 'you did it by hand, and say what', needs: ['reason'] };
