import { ApplicationFailure, CancellationScope, isCancellation, patched, workflowInfo } from '@temporalio/workflow';
import { Chosen, HandedBack, type Incident as Scene, type Scenario, type Serves } from '../scenarios/scenario.js';
import type {
  AnyQuestion,
  AnyStep,
  At,
  ControlCalls,
  Form,
  HostCalls,
  InputOf,
  OutputOf,
  Patience,
  Question,
  Said,
  Touches,
} from '../steps/step.js';
import type { ComponentRecord } from '../vocabulary/component.js';
import type { IncidentInput } from '../vocabulary/declaration.js';
import { type IncidentState, type Mode, type StepRecord, titleOf } from '../vocabulary/incident.js';
import type { PlanFacts } from '../vocabulary/plan-facts.js';
import type { Choice, Decision, Problem, Question as Asked } from '../vocabulary/question.js';
import { onControl, onHost } from './activities.js';
import { Interrupted, now } from './conversation.js';
import { abortChoice, rollBackChoice, writes } from './ending.js';
import { problemOf, refuses } from './problems.js';

/** It goes over into another scenario; caught by workflows/scenario.ts. */
export class Escalated extends Error {
  constructor(readonly scenario: string) {
    super(scenario);
    this.name = 'Escalated';
  }
}

/** The incident that a branch is of. */
export interface Trunk {
  readonly input: IncidentInput;
  readonly scenario: Scenario;
  readonly plan: PlanFacts;
  readonly state: IncidentState;
  readonly real: boolean;
  /** A person ended it, or rolls it back. */
  readonly interrupted: { what: 'abort' | 'roll-back' } | undefined;
  question(asked: Omit<Asked, 'id' | 'askedAt'>): Promise<{ decision: Decision; askedAt: string }>;
  accept(): void;
  refuse(problem: Problem): never;
  serves(components: readonly string[], how: Serves): void;
  warn(...lines: string[]): void;
  noteProgress(): void;
  show(): void;
}

/**
 * What a scenario works with: it takes steps and asks, one after the other. Several may run side by side, each in a
 * lane of its own.
 */
export class Branch implements Scene {
  private current: StepRecord | undefined;

  constructor(
    private readonly incident: Trunk,
    private readonly lane?: string,
  ) {}

  get mode(): Mode {
    return this.incident.input.mode;
  }
  get real(): boolean {
    return this.incident.real;
  }
  get request(): IncidentInput {
    return this.incident.input;
  }
  get plan(): PlanFacts {
    return this.incident.plan;
  }
  get state(): IncidentState {
    return this.incident.state;
  }
  warn(...lines: string[]): void {
    this.incident.warn(...lines);
  }
  serves(components: readonly string[], how: Serves): void {
    this.incident.serves(components, how);
  }
  component(name: string): ComponentRecord {
    const found = this.state.components.find((one) => one.name === name);
    if (!found) throw ApplicationFailure.nonRetryable(`the incident has no component ${name}`, 'BadRequest');
    return found;
  }

  escalate(scenario: string): never {
    throw new Escalated(scenario);
  }

  /** Ends when all have ended, also when one of them fails: nothing runs on by itself. */
  async each<T, R>(
    over: readonly T[],
    named: (one: T) => string,
    work: (branch: Scene, one: T) => Promise<R>,
  ): Promise<R[]> {
    const ended = await Promise.allSettled(over.map((one) => work(new Branch(this.incident, named(one)), one)));
    return ended.map((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
  }

  /** Whether something that touches production or scratch is done now, or proven possible. */
  private form(touches: Touches): Form {
    if (this.mode === 'real' || touches === 'nothing') return 'execute';
    return this.mode === 'drill' && touches === 'scratch' ? 'execute' : 'rehearse';
  }

  /** What a step finds when it runs. */
  at(touches: Touches, attempt = 1): At {
    const { request: input, state } = this;
    const form = this.form(touches);
    const called = () => (this.current ? titleOf(this.current) : input.scenario);
    const host = (name: string, patience: Patience, how: Form) =>
      withFields(onHost(input.system, name, patience, called()), {
        form: how,
        incident: state.id,
      }) as unknown as HostCalls;
    return {
      ...{
        request: input,
        ...this.inLane,
        plan: this.plan,
        state,
        real: this.real,
        form,
        attempt,
        run: workflowInfo().runId,
      },
      component: (name) => this.component(name),
      on: (name, patience) => host(name, patience, form),
      looksOn: (name, patience = 'look') => host(name, patience, 'execute'),
      control: (patience) =>
        withFields(onControl(input.system, patience, called()), { form }) as unknown as ControlCalls,
      writes: () => writes(state, this.incident.scenario),
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

  /**
   * Takes a step. When it fails for good, a person is asked: retry, skip with a reason, done by hand, or abort; and
   * what the step offers.
   */
  async do<One extends AnyStep>(step: One, input: InputOf<One>): Promise<OutputOf<One>> {
    const { name } = step;
    const host = step.host?.(input);
    const record: StepRecord = {
      name,
      ...this.inLane,
      status: 'running',
      startedAt: now(),
      attempts: 1,
      ...(host ? { host } : {}),
    };
    this.current = record;
    if (!this.real && this.form(step.touches) === 'rehearse') record.rehearsed = true;
    this.state.steps.push(record);
    this.lookAhead(step.name);
    this.incident.noteProgress();
    let attested: Decision | undefined;
    for (;;) {
      this.incident.show();
      try {
        const at = this.at(step.touches, record.attempts);
        const result = (await (attested ? step.attested! : step.run)(at, input)) as OutputOf<One>;
        this.finish(record, attested ? 'by hand' : 'done', (result as Said).summary);
        if (attested) this.warn(`${titleOf(record)}: attested by ${attested.by}, not proven: ${attested.reason ?? ''}`);
        if (step.refuses) this.incident.accept();
        return result;
      } catch (error) {
        if (isCancellation(error) || error instanceof Interrupted) {
          record.status = 'failed';
          record.endedAt = now();
          record.problem ??= { message: 'it was ended by a person' };
          throw this.incident.interrupted ? new Interrupted(this.incident.interrupted.what) : error;
        }
        const problem = (record.problem = problemOf(error));
        record.status = 'failed';
        record.endedAt = now();
        // What went over from another scenario has changed something already.
        if (step.refuses && !this.request.carried && refuses(problem)) this.incident.refuse(problem);
        if ((step.handsBack as string[] | undefined)?.includes(problem.type ?? '')) throw new HandedBack(name, problem);
        const { decision, askedAt } = await this.askAbout(step, problem);
        const { by, choice, reason } = decision;
        record.decision = { by, choice, askedAt, at: now(), ...(reason ? { reason } : {}) };
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
          if (choice === 'skip')
            this.warn(`${titleOf(record)} was skipped by ${by}: ${(without as Said).summary || 'it was not done'}`);
          return without;
        } else throw new Chosen(decision);
      }
    }
  }

  private get inLane(): { lane?: string } {
    return this.lane === undefined ? {} : { lane: this.lane };
  }

  private lookAhead(step: string): void {
    const all = this.incident.scenario.steps.map(({ name }) => name);
    const { state } = this;
    state.ahead = state.ahead.includes(step)
      ? state.ahead.slice(state.ahead.indexOf(step) + 1)
      : all.slice(all.indexOf(step) + 1);
  }

  /** A question about a step that failed. */
  private askAbout({ name, without, attested, choices = [] }: AnyStep, problem: Problem) {
    const offered: Choice[] = [
      { name: 'retry', meaning: 'try the step again', needs: [] },
      ...(without ? [skipChoice] : []),
      ...(without || attested ? [doneChoice] : []),
      ...choices,
      ...(this.state.canRollBack ? [rollBackChoice(this.state)] : []),
      abortChoice(this.state, this.incident.scenario),
    ];
    const text = `${titleOf({ name, ...this.inLane })} failed. What now?`;
    return this.incident.question({
      kind: 'decision',
      step: name,
      ...this.inLane,
      text,
      facts: [],
      choices: offered,
      problem,
    });
  }

  /** A person's decision as a line of the timeline. A drill and a dry run approve themselves, and say so. */
  async ask<One extends AnyQuestion>(
    { name, asks }: One,
    input: One extends Question<string, infer In> ? In : never,
  ): Promise<Decision> {
    const { text, facts, choices } = await asks(this.at('nothing'), input);
    const record: StepRecord = {
      name,
      ...this.inLane,
      status: 'running',
      startedAt: now(),
      attempts: 1,
      details: facts,
      ...(this.real ? {} : { rehearsed: true }),
    };
    this.current = record;
    this.state.steps.push(record);
    this.state.ahead = this.state.ahead.filter((step) => step !== name);
    const asked = {
      kind: 'approval' as const,
      step: name,
      ...this.inLane,
      text,
      facts,
      choices: [...choices, abortChoice(this.state, this.incident.scenario)],
    };
    const decision: Decision = this.real
      ? (await this.incident.question(asked)).decision
      : { by: this.mode, choice: 'approve', reason: 'nothing of production is touched' };
    const { by, choice, reason } = decision;
    record.decision = { by, choice, at: now(), ...(reason ? { reason } : {}) };
    this.finish(record, 'done', `${choice} by ${by}`);
    return decision;
  }

  private finish(record: StepRecord, status: StepRecord['status'], summary?: string): void {
    record.status = status;
    record.endedAt = now();
    if (summary) record.summary = summary;
    if (status === 'done') delete record.problem;
    this.incident.show();
  }
}

/** Calls of activities with fields that no step has to give. */
function withFields<Activities extends object>(activities: Activities, fields: object): Activities {
  return new Proxy(activities, {
    get: (of, name) => (input: object) =>
      (of[name as keyof Activities] as (input: object) => unknown)({ ...fields, ...input }),
  });
}

const skipChoice: Choice = { name: 'skip', meaning: 'go on without it', needs: ['reason'] };
const doneChoice: Choice = { name: 'done', meaning: 'you did it by hand, and say what', needs: ['reason'] };
