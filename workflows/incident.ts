import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { HostActivities } from '../activities/host.js';
import type { ControlActivities } from '../activities/control.js';
import type { PlanFacts } from '../activities/read-plan.js';
import { drillWorkflowId, incidentName } from '../plan/names.js';
import { postRecoveryTasks, scenarioTexts } from '../plan/scenarios.js';
import { onControl, onHost, type Patience } from './activities.js';
import { describe } from './details.js';
import {
  type Abort,
  type Approval,
  type Close,
  type Note,
  abortUpdate,
  approveUpdate,
  closeUpdate,
  type Decision,
  decideUpdate,
  type Declared,
  declaredUpdate,
  type IncidentInput,
  noteUpdate,
  stateQuery,
} from './messages.js';
import { problemOf, refuses } from './problems.js';
import { phaseKey } from './search-attributes.js';
import type { Choice, IncidentState, Phase, Problem, Question, StepRecord } from './state.js';
import { validateAbort, validateClose, validateDecision, validateNote } from './validators.js';

/** What every scenario shares: the timeline of steps, the clock, the questions and their answers, abort, roll-back and close. */

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

/** A person decided against going on; caught by `scenario`. */
export class Interrupted extends Error {
  constructor(readonly what: 'abort' | 'roll-back') {
    super(what);
    this.name = 'Interrupted';
  }
}

/** A question of a step was answered with a choice of the scenario's own. */
export class Chosen extends Error {
  constructor(readonly decision: Decision) {
    super(decision.choice);
    this.name = 'Chosen';
  }
}

export class Incident {
  readonly state: IncidentState;
  private answer: Decision | undefined;
  private checked: Declared | undefined;
  private interruption: { what: 'abort' | 'roll-back'; by: string; reason: string; resume: boolean } | undefined;
  private closing: Close | undefined;
  private scope: CancellationScope | undefined;

  private facts: PlanFacts | undefined;

  /** Listens from its first moment on: Temporal rejects an update that finds no handler. */
  constructor(readonly input: IncidentInput) {
    const declaredAt = workflowInfo().startTime;
    this.state = {
      id: incidentName(input.system, declaredAt, input.mode === 'real' ? 'incident' : 'drill'),
      system: input.system,
      scenario: input.scenario,
      database: input.database,
      mode: input.mode,
      phase: 'open',
      declaredBy: input.declaredBy,
      declaredAt: declaredAt.toISOString(),
      target: input.target ?? 'latest',
      objectives: { rtoSeconds: 0, rpoSeconds: 0 },
      approvals: 1,
      ahead: scenarioTexts[input.scenario].steps.map(({ name }) => name),
      steps: [],
      notes: [],
      lost: [],
      rows: [],
      doubts: [],
      measured: { rtoSeconds: null, rtoNote: 'the service is not verified yet', rpoSeconds: null, rpoNote: 'nothing was restored' },
      quarantine: [],
      tasks: input.mode === 'real' ? postRecoveryTasks.map((task) => ({ ...task })) : [],
      warnings: [],
      evidence: [],
      canRollBack: false,
      planDigest: input.planDigest,
    };
    this.listen();
  }

  /** Reads the control worker's plan. Throws when it has no such database. */
  async readPlan(): Promise<void> {
    const { input, state } = this;
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

  /** What the plan says, in names and numbers. */
  get plan(): PlanFacts {
    if (!this.facts) throw ApplicationFailure.nonRetryable('the plan was not read yet');
    return this.facts;
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

  get real(): boolean {
    return this.input.mode === 'real';
  }

  private get current(): StepRecord | undefined {
    return this.state.steps.at(-1);
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
          throw this.interruption ? new Interrupted(this.interruption.what) : error;
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
      ...(this.state.canRollBack ? [rollBackChoice] : []),
      abortChoice,
    ];
    return this.question('decision', `${this.current?.name ?? 'The step'} failed. What now?`, [], choices, problem);
  }

  /** Asks a person, and waits for as long as it takes. */
  async question(kind: Question['kind'], text: string, facts: string[], choices: Choice[], problem?: Problem): Promise<Decision> {
    const id = (this.asked += 1);
    this.askedAt = now();
    this.state.question = {
      id,
      kind,
      step: this.current?.name ?? '',
      text,
      facts,
      choices,
      askedAt: now(),
      ...(problem ? { problem } : {}),
    };
    this.checked ??= this.declared('waiting', problem);
    this.setPhase('waiting');
    this.answer = undefined;
    try {
      const answered = () => this.answer !== undefined;
      if (this.real) await condition(answered);
      else if (!(await condition(answered, '1 hour'))) {
        this.interrupt({ what: 'abort', by: 'the drill', reason: 'nobody answered within an hour', resume: false });
        throw new Interrupted('abort');
      }
    } finally {
      delete this.state.question;
      this.setPhase('open');
    }
    const answer = this.answer as unknown as Decision;
    this.answer = undefined;
    await this.readPlanAgain();
    return answer;
  }
  private asked = 0;
  private askedAt = '';

  /**
   * While a person was asked, the plan may have been mended: the incident goes on with it, and says so. Who declared it and how many people
   * approve stays as it was, and so does the host that it works on.
   */
  private async readPlanAgain(): Promise<void> {
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
      ? await this.question('approval', text, facts, [...choices, abortChoice])
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

  warn(...warnings: string[]): void {
    for (const warning of warnings) if (!this.state.warnings.includes(warning)) this.state.warnings.push(warning);
    this.show();
  }

  /** Runs a scenario so that a person can interrupt it at any moment. */
  async run(body: () => Promise<void>): Promise<void> {
    this.scope = new CancellationScope();
    await this.scope.run(body);
  }

  /** Runs what must not be interrupted by a cancellation. */
  async nonCancellable<T>(work: () => Promise<T>): Promise<T> {
    return CancellationScope.nonCancellable(work);
  }

  get interrupted() {
    return this.interruption;
  }

  /** What was interrupted is dealt with; from here on it can be interrupted anew. */
  resumed(): void {
    this.interruption = undefined;
    this.setPhase('open');
  }

  settle(phase: Phase, ending: string): void {
    this.state.ending = ending;
    if (phase !== 'recovered') this.state.endedAt = now();
    this.setPhase(phase);
  }

  /** Waits, with the service recovered, until a person closes the incident (or rolls it back, which ends the wait). */
  async untilClosed(): Promise<void> {
    await condition(() => this.closing !== undefined);
  }

  get closedBy(): string {
    return this.closing?.by ?? 'a cancellation';
  }

  /** No update may be left without its answer when the workflow ends. */
  async finished(): Promise<void> {
    this.checked ??= this.declared('accepted');
    await condition(allHandlersFinished);
  }

  private finish(record: StepRecord, status: StepRecord['status'], summary?: string): void {
    record.status = status;
    record.endedAt = now();
    if (summary) record.summary = summary;
    if (status === 'done') delete record.problem;
    this.show();
  }

  private setPhase(phase: Phase): void {
    this.state.phase = phase;
    upsertSearchAttributes([{ key: phaseKey, value: phase }]);
    this.show();
  }

  /** Tells the story in Temporal's own UI. */
  show(): void {
    setCurrentDetails(describe(this.state));
  }

  private declared(answer: Declared['answer'], problem?: Problem): Declared {
    const { request } = this.input;
    return { answer, id: this.state.id, ...(request ? { request } : {}), ...(problem ? { problem } : {}) };
  }

  private listen(): void {
    setHandler(stateQuery, () => this.state);
    setHandler(declaredUpdate, async () => {
      await condition(() => this.checked !== undefined);
      return this.checked!;
    });
    setHandler(approveUpdate, (approval: Approval) => this.decided({ ...approval, choice: 'approve' }), {
      validator: (approval: Approval) => validateDecision(this.state, { ...approval, choice: 'approve' }),
    });
    setHandler(decideUpdate, (decision: Decision) => this.decided(decision), {
      validator: (decision: Decision) => validateDecision(this.state, decision),
    });
    setHandler(noteUpdate, (note: Note) => this.noted(note), { validator: (note: Note) => validateNote(this.state, note) });
    setHandler(abortUpdate, (abort: Abort) => this.aborted(abort), { validator: (abort: Abort) => validateAbort(this.state, abort) });
    setHandler(
      closeUpdate,
      (close: Close) => {
        this.closing = close;
        if (close.leaveTasksOpen)
          this.state.notes.push({ at: now(), by: close.by, text: `closed with open tasks: ${close.leaveTasksOpen}` });
        return 'closed';
      },
      { validator: (close: Close) => validateClose(this.state, close) },
    );
  }

  private decided(decision: Decision): string {
    if (decision.choice === 'roll-back') {
      this.interrupt({ what: 'roll-back', by: decision.by, reason: decision.reason ?? '', resume: true });
      return 'rolling back to the quarantined copy';
    }
    if (decision.choice === 'abort') return this.aborted({ by: decision.by, reason: decision.reason ?? '', resume: false });
    this.answer = decision;
    return `${decision.choice}: taken from ${decision.by}`;
  }

  private aborted({ by, reason, resume }: Abort): string {
    this.interrupt({ what: 'abort', by, reason, resume });
    return resume ? 'aborting: the database is opened and the services are started as they stand' : 'aborting: writes stay stopped';
  }

  private interrupt(interruption: NonNullable<Incident['interruption']>): void {
    this.interruption = interruption;
    this.state.notes.push({ at: now(), by: interruption.by, text: `${interruption.what}: ${interruption.reason}` });
    this.scope?.cancel();
  }

  private noted({ by, text, task }: Note): string {
    this.state.notes.push({ at: now(), by, text: task ? `${task}: ${text}` : text });
    const open = this.state.tasks.find(({ name }) => name === task);
    if (open) Object.assign(open, { doneAt: now(), by });
    this.show();
    return open ? `noted, and "${open.text}" is done` : 'noted';
  }
}

const abortChoice: Choice = { name: 'abort', meaning: 'end the incident; writes stay stopped unless you say --resume', needs: ['reason'] };
const skipChoice: Choice = { name: 'skip', meaning: 'go on without it', needs: ['reason'] };
const doneChoice: Choice = { name: 'done', meaning: 'you did it by hand, and say what', needs: ['reason'] };
const rollBackChoice: Choice = { name: 'roll-back', meaning: 'put the quarantined copy back and resume on it', needs: ['reason'] };

export const now = (): string => new Date().toISOString();
