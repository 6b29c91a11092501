import {
  ApplicationFailure,
  CancellationScope,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  patched,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control.js';
import { Chosen, HandedBack, type Incident as Scene } from '../scenarios/scenario.js';
import type {
  AnyQuestion,
  AnyStep,
  At,
  ControlCalls,
  Ending,
  Form,
  HostCalls,
  InputOf,
  OutputOf,
  Patience,
  Question,
  Said,
  Touches,
} from '../steps/step.js';
import type { Carried, IncidentInput } from '../vocabulary/declaration.js';
import type { Mode, StepRecord } from '../vocabulary/incident.js';
import { drillWorkflowId, incidentWorkflowId, recoveredWorkflowId, workflowTypeOf } from '../vocabulary/names.js';
import type { PlanFacts } from '../vocabulary/plan-facts.js';
import type { Choice, Decision, Problem } from '../vocabulary/question.js';
import { onControl, onHost } from './activities.js';
import { Conversation, Interrupted, now } from './conversation.js';
import { abortChoice, rollBackChoice, writes } from './ending.js';
import { problemOf, refuses } from './problems.js';
import { incidentAttributes } from './search-attributes.js';
import { scenarioOf, takenSteps } from './taken.js';

/** What every scenario shares: the plan, the timeline of steps, what a failed step asks, and the clock. */

export class Incident extends Conversation implements Scene {
  private facts: PlanFacts | undefined;

  get mode(): Mode {
    return this.input.mode;
  }

  get request(): IncidentInput {
    return this.input;
  }

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

  control(patience: Patience): ControlActivities {
    return onControl(this.input.system, patience, this.current?.name ?? this.input.scenario);
  }

  /** Whether something that touches production or scratch is done now, or proven possible. */
  private form(touches: Touches): Form {
    if (this.input.mode === 'real' || touches === 'nothing') return 'execute';
    return this.input.mode === 'drill' && touches === 'scratch' ? 'execute' : 'rehearse';
  }

  /** What a step finds when it runs. */
  private at(touches: Touches, attempt = 1): At {
    const { input, state, names } = this;
    const form = this.form(touches);
    const called = () => this.current?.name ?? input.scenario;
    const host = (name: string, patience: Patience, how: Form) =>
      withFields(onHost(input.system, name, patience, called()), { form: how, incident: names.incident }) as unknown as HostCalls;
    return {
      ...{ request: input, plan: this.plan, state, real: this.real, form, attempt, run: workflowInfo().runId },
      on: (name, patience) => host(name, patience, form),
      looksOn: (name, patience = 'look') => host(name, patience, 'execute'),
      control: (patience) => withFields(onControl(input.system, patience, called()), { form }) as unknown as ControlCalls,
      writes: () => writes(state),
      warn: (...lines) => {
        this.warn(...lines);
      },
      isEnding: isCancellation,
      async orElse(work, otherwise) {
        try {
          return await work();
        } catch (error) {
          if (isCancellation(error)) throw error;
          return otherwise(problemOf(error));
        }
      },
      async together(...works) {
        const scope = new CancellationScope();
        try {
          return (await scope.run(() => Promise.all(works.map((work) => work())))) as never;
        } catch (error) {
          // The others are of no more use.
          scope.cancel();
          throw error;
        }
      },
      since: patched,
    };
  }

  /** Takes a step. When it fails for good, a person is asked: retry, skip with a reason, done by hand, or abort; and what the step offers. */
  async do<One extends AnyStep>(step: One, input: InputOf<One>): Promise<OutputOf<One>> {
    const name = step.title?.(input) ?? step.name;
    const host = step.host?.(input);
    const record: StepRecord = { name, status: 'running', startedAt: now(), attempts: 1, ...(host ? { host } : {}) };
    if (!this.real && this.form(step.touches) === 'rehearse') record.rehearsed = true;
    this.state.steps.push(record);
    this.lookAhead(step.name);
    this.noteProgress();
    let attested: Decision | undefined;
    for (;;) {
      this.show();
      try {
        const at = this.at(step.touches, record.attempts);
        const result = (await (attested ? step.attested! : step.run)(at, input)) as OutputOf<One>;
        this.finish(record, attested ? 'by hand' : 'done', (result as Said).summary);
        if (attested) this.warn(`${name}: attested by ${attested.by}, not proven: ${attested.reason ?? ''}`);
        if (step.refuses) this.checked ??= this.declared('accepted');
        return result;
      } catch (error) {
        if (isCancellation(error) || error instanceof Interrupted) {
          record.status = 'failed';
          record.endedAt = now();
          record.problem ??= { message: 'it was ended by a person' };
          throw this.interrupted ? new Interrupted(this.interrupted.what) : error;
        }
        const problem = (record.problem = problemOf(error));
        record.status = 'failed';
        record.endedAt = now();
        if (step.refuses && refuses(problem)) this.refuse(problem);
        if ((step.handsBack as string[] | undefined)?.includes(problem.type ?? '')) throw new HandedBack(name, problem);
        const decision = await this.askAbout(step, problem);
        const { by, choice, reason } = decision;
        record.decision = { by, choice, askedAt: this.askedAt, at: now(), ...(reason ? { reason } : {}) };
        if (choice === 'retry' || (choice === 'done' && step.attested && !step.without)) {
          // What Lifeboat has to add to a person's word is tried like the step itself.
          attested = choice === 'done' ? decision : undefined;
          if (choice === 'retry') record.attempts += 1;
          record.status = 'running';
          delete record.endedAt;
        } else if (step.without && (choice === 'skip' || choice === 'done')) {
          this.finish(record, choice === 'skip' ? 'skipped' : 'by hand', reason);
          const without = step.without(input) as OutputOf<One>;
          // What was not done stays in sight when everything else is: a recovery without it is no plain success.
          if (choice === 'skip') this.warn(`${name} was skipped by ${by}: ${(without as Said).summary || 'it was not done'}`);
          return without;
        } else throw new Chosen(decision);
      }
    }
  }

  private lookAhead(step: string): void {
    const all = scenarioOf(this.state).steps.map(({ name }) => name);
    const { state } = this;
    state.ahead = state.ahead.includes(step) ? state.ahead.slice(state.ahead.indexOf(step) + 1) : all.slice(all.indexOf(step) + 1);
  }

  /** A question about a step that failed. */
  private askAbout({ without, attested, choices = [] }: AnyStep, problem: Problem): Promise<Decision> {
    const offered: Choice[] = [
      { name: 'retry', meaning: 'try the step again', needs: [] },
      ...(without ? [skipChoice] : []),
      ...(without || attested ? [doneChoice] : []),
      ...choices,
      ...(this.state.canRollBack ? [rollBackChoice(this.state)] : []),
      abortChoice(this.state),
    ];
    return this.question('decision', `${this.current?.name ?? 'The step'} failed. What now?`, [], offered, problem);
  }

  /** A person's decision as a line of the timeline. A drill and a dry run approve themselves, and say so. */
  async ask<One extends AnyQuestion>({ name, asks }: One, input: One extends Question<string, infer In> ? In : never): Promise<Decision> {
    const { text, facts, choices } = await asks(this.at('nothing'), input);
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
    const { by, choice, reason } = decision;
    record.decision = { by, choice, at: now(), ...(reason ? { reason } : {}) };
    this.finish(record, 'done', `${choice} by ${by}`);
    return decision;
  }

  /** Leaves everything in a safe state, the last step first, and says in which. Never throws for what it cannot reach: it says that too. */
  async settleAll(ending: Ending): Promise<string[]> {
    const said: string[] = [];
    for (const { step, on } of takenSteps(this.state, this.plan).reverse()) {
      if (!step.settle || (!this.real && step.touches !== 'scratch')) continue;
      try {
        said.push(...(await step.settle(this.at(step.touches), on, ending)));
      } catch (error) {
        said.push(`${step.name}: what it began may not be safe (${problemOf(error).message})`);
      }
    }
    return said;
  }

  /** Throws, before anything is stopped, when what is in place is not what this incident put there. Changes nothing. */
  async mayUndo(): Promise<void> {
    const last = takenSteps(this.state, this.plan).findLast(({ step }) => step.undo);
    await last?.step.mayUndo?.(this.at('nothing'), last.on);
  }

  /** Takes back what was put in place. Returns what is so then. */
  async undo(): Promise<string> {
    // Once is enough: a second one would end the first in its middle.
    this.state.canRollBack = false;
    const { step, on } = takenSteps(this.state, this.plan).findLast((taken) => taken.step.undo)!;
    this.state.ahead = step.undo!.map(({ name }) => name);
    for (const one of step.undo!) await this.do(one, on);
    return step.undone ?? 'it was taken back';
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

  /** The moment from which the service is verified: the RTO. Without a verification there is none to measure. */
  serves(_component: string, { verified }: { verified: boolean }): void {
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

/** Calls of activities with fields that no step has to give. */
function withFields<Activities extends object>(activities: Activities, fields: object): Activities {
  return new Proxy(activities, {
    get: (of, name) => (input: object) => (of[name as keyof Activities] as (input: object) => unknown)({ ...fields, ...input }),
  });
}

const skipChoice: Choice = { name: 'skip', meaning: 'go on without it', needs: ['reason'] };
const doneChoice: Choice = { name: 'done', meaning: 'you did it by hand, and say what', needs: ['reason'] };
