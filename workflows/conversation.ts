import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  patched,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { type ComponentRecord, totalsOf } from '../vocabulary/component.js';
import { incidentName } from '../vocabulary/names.js';
import type { Scenario } from '../scenarios/scenario.js';
import { postRecoveryTasks } from '../scenarios/tasks.js';
import { describe } from './details.js';
import { leftAs } from './ending.js';
import type { Abort, Close, Note, Decision, Problem, Question } from '../vocabulary/question.js';
import type { Carried, Declared, IncidentInput } from '../vocabulary/declaration.js';
import { abortUpdate, closeUpdate, decideUpdate, declaredUpdate, noteUpdate, stateQuery } from './messages.js';
import { whenAhead, whenEnded } from './last-task.js';
import { problemOf } from './problems.js';
import { phaseKey } from './search-attributes.js';
import { type IncidentState, type Phase, type StepRecord, titleOf } from '../vocabulary/incident.js';
import { validateAbort, validateClose, validateDecision, validateNote } from './validators.js';

/**
 * What an incident says to people and hears from them: its state, its questions and their answers, notes, abort,
 * roll-back and close.
 */

/** A person decided against going on; caught by `scenario`. */
export class Interrupted extends Error {
  constructor(readonly what: 'abort' | 'roll-back') {
    super(what);
    this.name = 'Interrupted';
  }
}

const rollingBack = 'rolling back to the quarantined copy';

export const now = (): string => new Date().toISOString();

export abstract class Conversation {
  readonly state: IncidentState;
  /** By the number of the question. */
  private readonly answers = new Map<number, Decision>();
  protected checked: Declared | undefined;
  private interruption: { what: 'abort' | 'roll-back'; by: string; reason: string; resume: boolean } | undefined;
  private closing: Close | undefined;
  private scope: CancellationScope | undefined;

  /**
   * Listens from its first moment on: Temporal rejects an update that finds no handler. `mayRollBack`: throws when what
   * was put in place cannot be taken back; changes nothing.
   */
  constructor(
    readonly input: IncidentInput,
    readonly scenario: Scenario,
    private readonly mayRollBack: () => Promise<void>,
  ) {
    const declaredAt = workflowInfo().startTime;
    const { carried } = input;
    this.asked = carried?.asked ?? 0;
    this.state = (carried && { ...carried.state, questions: [], components: componentsOf(carried.state) }) ?? {
      id: incidentName(input.system, declaredAt, input.mode === 'real' ? 'incident' : 'drill'),
      system: input.system,
      scenario: input.scenario,
      title: scenario.title,
      database: input.database,
      mode: input.mode,
      phase: 'open',
      declaredBy: input.declaredBy,
      declaredAt: declaredAt.toISOString(),
      target: input.target ?? 'latest',
      objectives: { rtoSeconds: 0, rpoSeconds: 0 },
      approvals: 1,
      ahead: scenario.steps.map(({ name }) => name),
      steps: [],
      questions: [],
      notes: [],
      components: [],
      lost: [],
      rows: [],
      doubts: [],
      measured: {
        rtoSeconds: null,
        rtoNote: 'the service is not verified yet',
        rpoSeconds: null,
        rpoNote: 'nothing was restored',
      },
      quarantine: [],
      tasks: input.mode === 'real' ? postRecoveryTasks.map((task) => ({ ...task })) : [],
      warnings: [],
      evidence: [],
      canRollBack: false,
      planDigest: input.planDigest,
    };
    if (carried?.goesOn)
      Object.assign(this.state, {
        scenario: scenario.name,
        title: scenario.title,
        ahead: scenario.steps.map(({ name }) => name),
      });
    if (carried) this.checked = this.declared('accepted');
    this.listen();
  }

  /** Asks a person, and waits for as long as it takes; other questions may be open beside. */
  async question(asked: Omit<Question, 'id' | 'askedAt'>): Promise<{ decision: Decision; askedAt: string }> {
    const id = (this.asked += 1);
    const { problem } = asked;
    const question = { id, ...asked, askedAt: now(), ...(problem ? { problem: numbered(problem, id) } : {}) };
    this.setQuestions([...this.state.questions, question]);
    this.checked ??= this.declared('waiting', problem);
    this.setPhase('waiting');
    try {
      const answered = () => this.answers.has(id);
      if (this.real) await condition(answered);
      else if (!(await condition(answered, '1 hour')) && !answered()) {
        this.interrupt({ what: 'abort', by: 'the drill', reason: 'nobody answered within an hour', resume: false });
        throw new Interrupted('abort');
      }
    } finally {
      this.setQuestions(this.state.questions.filter((one) => one.id !== id));
      if (this.state.questions.length === 0) this.setPhase('open');
    }
    const decision = this.answers.get(id)!;
    this.answers.delete(id);
    await this.afterAnswer();
    return { decision, askedAt: question.askedAt };
  }

  private setQuestions(questions: Question[]): void {
    this.state.questions = questions;
    if (questions[0]) this.state.question = questions[0];
    else delete this.state.question;
    this.tellPeople();
  }

  /** How people are told of what has changed: nothing here waits for it. */
  protected abstract tellPeople(): void;

  protected asked: number;

  /** What is looked at anew after a person was asked, who may have taken hours. */
  protected abstract afterAnswer(): Promise<void>;

  get real(): boolean {
    return this.input.mode === 'real';
  }

  protected get current(): StepRecord | undefined {
    return this.state.steps.at(-1);
  }

  warn(...warnings: string[]): void {
    for (const warning of warnings) if (!this.state.warnings.includes(warning)) this.state.warnings.push(warning);
    this.show();
  }

  /** Runs a scenario so that a person can interrupt it at any moment. */
  async run(body: () => Promise<void>): Promise<void> {
    this.scope = new CancellationScope();
    // What was said before there was anything to interrupt: in the moment in which it began.
    if (this.interruption) throw new Interrupted(this.interruption.what);
    await this.scope.run(body);
  }

  /** Runs what must not be interrupted by a cancellation. */
  async nonCancellable<T>(work: () => Promise<T>): Promise<T> {
    return CancellationScope.nonCancellable(work);
  }

  get interrupted(): Conversation['interruption'] {
    return this.interruption;
  }

  /** What was interrupted is dealt with; from here on it can be interrupted anew. */
  resumed(): void {
    this.interruption = undefined;
    delete this.state.leaving;
    this.setPhase('open');
  }

  /** It ends without a person having said so. */
  leave(what: 'close' | 'cancel'): void {
    this.state.leaving ??= { what, by: 'a cancellation' };
  }

  settle(phase: Phase, ending: string): void {
    delete this.state.leaving;
    this.state.ending = ending.charAt(0).toUpperCase() + ending.slice(1);
    if (phase !== 'recovered') this.state.endedAt = now();
    this.setPhase(phase);
  }

  /** Waits, with the service recovered, until a person closes the incident, or it went to be rolled back. */
  async untilClosed(): Promise<void> {
    await condition(() => this.closing !== undefined || this.wentBack || this.isLong);
  }
  /** So long that Temporal suggests a new run; nobody waits for an answer at the moment. */
  get isLong(): boolean {
    return (
      workflowInfo().continueAsNewSuggested && this.closing === undefined && !this.wentBack && allHandlersFinished()
    );
  }
  /** It is rolled back in another run, under the lock. */
  wentBack = false;

  /** Hands over what it knows to a run under another workflow ID. Throws when that ID is taken. */
  protected abstract handOver(rollBack?: Carried['rollBack']): Promise<void>;

  get closedBy(): string {
    return this.closing?.by ?? 'a cancellation';
  }

  /** No update may be left without its answer when the workflow ends. */
  async finished(): Promise<void> {
    this.checked ??= this.declared('accepted');
    await condition(allHandlersFinished);
  }

  private setPhase(phase: Phase): void {
    this.state.phase = phase;
    upsertSearchAttributes([{ key: phaseKey, value: phase }]);
    this.show();
    this.tellPeople();
  }

  /** Tells the story in Temporal's own UI. */
  show(): void {
    const { components } = this.state;
    if (components.length > 0) Object.assign(this.state, totalsOf(components));
    setCurrentDetails(describe(this.state));
  }

  protected declared(answer: Declared['answer'], problem?: Problem): Declared {
    const { request } = this.input;
    const { scenario, database, mode, vacuumFull } = this.input;
    const of = { scenario, database, mode, target: this.state.target, ...(vacuumFull ? { vacuumFull } : {}) };
    return { answer, id: this.state.id, of, ...(request ? { request } : {}), ...(problem ? { problem } : {}) };
  }

  /** How it stood at its last task, where the history is ahead of it. */
  private before: { at: string; state: IncidentState } | undefined;

  /**
   * How far it is, for who cannot ask a worker. And no workflow task is without a command by it: after an empty one, an
   * update may be replayed in another order than it was taken (temporalio/sdk-rust#1146).
   */
  noteProgress(): void {
    // One that was declared before there was this goes on.
    if (!patched('progress')) return;
    this.changes += 1;
    upsertMemo({
      progress: { step: this.current ? titleOf(this.current) : '', phase: this.state.phase, changes: this.changes },
    });
  }
  private changes = 0;

  private listen(): void {
    whenEnded(() => this.noteProgress());
    whenAhead(() => {
      if (this.before?.at !== now())
        this.before = { at: now(), state: JSON.parse(JSON.stringify(this.state)) as IncidentState };
    });
    // Where the clock has moved on, there was a task, and what it did is so.
    setHandler(stateQuery, () => (this.before?.at === now() ? this.before.state : this.state));
    setHandler(declaredUpdate, async () => {
      await condition(() => this.checked !== undefined);
      // Whoever joins later asks for what it is to do now: a person may have decided for another target since.
      const { of, ...checked } = this.checked!;
      return { ...checked, of: { ...of, target: this.state.target } };
    });
    setHandler(decideUpdate, (decision: Decision) => this.decided(decision), {
      validator: (decision: Decision) => validateDecision(this.state, decision),
    });
    setHandler(noteUpdate, (note: Note) => this.noted(note), {
      validator: (note: Note) => validateNote(this.state, note),
    });
    setHandler(abortUpdate, (abort: Abort) => this.aborted(abort), {
      validator: (abort: Abort) => validateAbort(this.state, abort),
    });
    setHandler(
      closeUpdate,
      (close: Close) => {
        this.closing = close;
        this.state.leaving = { what: 'close', by: close.by };
        if (close.leaveTasksOpen)
          this.state.notes.push({ at: now(), by: close.by, text: `closed with open tasks: ${close.leaveTasksOpen}` });
        return 'closed';
      },
      { validator: (close: Close) => validateClose(this.state, close) },
    );
  }

  private decided(decision: Decision): string | Promise<string> {
    if (decision.choice === 'roll-back') {
      if (this.waitsBeside) return this.goBack(decision);
      this.interrupt({ what: 'roll-back', by: decision.by, reason: decision.reason ?? '', resume: true });
      return rollingBack;
    }
    if (decision.choice === 'abort')
      return this.aborted({ by: decision.by, reason: decision.reason ?? '', resume: false });
    // Here, and not when the workflow goes on: the next answer may come in the same task of it, and the first one
    // counts.
    const question = this.state.questions.find(({ id }) => id === decision.question)!;
    this.setQuestions(this.state.questions.filter((one) => one !== question));
    this.answers.set(question.id, decision);
    return `${decision.choice}: taken from ${decision.by}`;
  }

  /** It waits for its tasks, without the lock. */
  private get waitsBeside(): boolean {
    return this.input.carried !== undefined && !this.input.carried.rollBack && !this.input.carried.goesOn;
  }

  /**
   * There is one writer: it is rolled back under the lock of the system, or not at all. What cannot be rolled back is
   * refused here, where it stays recovered: with the lock it could only be tried again, or ended.
   */
  private async goBack({ by, reason = '' }: Decision): Promise<string> {
    this.state.leaving = { what: 'roll-back', by };
    try {
      await this.mayRollBack();
      await this.handOver({ by, reason });
    } catch (error) {
      delete this.state.leaving;
      throw isCancellation(error) ? error : this.notRolledBack(error);
    }
    this.wentBack = true;
    return rollingBack;
  }

  private notRolledBack(error: unknown): ApplicationFailure {
    const { id } = this.state;
    const again = `lifeboat decide roll-back --incident ${id} --reason "..."`;
    const refused = (message: string, hint: string) =>
      ApplicationFailure.create({ type: 'Refused', nonRetryable: true, message, details: [{ hint }] });
    if (error instanceof WorkflowExecutionAlreadyStartedError)
      return refused(
        `Incident ${id} is not rolled back while another one is open: one at a time writes to a database. Nothing was changed.`,
        `See the other one: lifeboat watch. When it has recovered or was ended, say this again: ${again}`,
      );
    const { message, hint = 'Fix what it says' } = problemOf(error);
    return refused(
      `Incident ${id} is not rolled back: ${message}. Nothing was changed: it is recovered as before, and its tasks are open.`,
      `${hint.replaceAll('lifeboat decide retry', again)}${hint.includes('lifeboat decide retry') ? '' : `. To say this again: ${again}`}`,
    );
  }

  private aborted({ by, reason, resume }: Abort): string {
    this.interrupt({ what: 'abort', by, reason, resume });
    return resume
      ? 'aborting: the database is opened and the services are started as they stand'
      : `aborting: ${leftAs(this.state, this.scenario)}`;
  }

  interrupt(interruption: NonNullable<Conversation['interruption']>): void {
    this.interruption = interruption;
    this.state.leaving = { what: interruption.what, by: interruption.by };
    this.setQuestions([]);
    this.state.notes.push({ at: now(), by: interruption.by, text: `${interruption.what}: ${interruption.reason}` });
    this.scope?.cancel();
  }

  private noted({ by, text, task }: Note): string {
    this.state.notes.push({ at: now(), by, text: task ? `${task}: ${text}` : text });
    const open = this.state.tasks.find(({ name }) => name === task);
    const before = open?.doneAt === undefined ? undefined : open.by;
    if (open && !open.doneAt) Object.assign(open, { doneAt: now(), by });
    this.show();
    if (before !== undefined) return `noted; "${open!.text}" was done already, by ${before}`;
    return open ? `noted, and "${open.text}" is done` : 'noted';
  }
}

/** Of an incident that was declared before there were components all figures are its database's. */
function componentsOf(
  state: Omit<IncidentState, 'components'> & { components?: ComponentRecord[] },
): ComponentRecord[] {
  const { database: name, objectives, measured, rows, doubts, lost } = state;
  return state.components ?? [{ name, kind: 'database', objectives, measured, rows, doubts, lost }];
}

/** What a hint tells to type, for this question: an answer without its number is not taken. */
function numbered(problem: Problem, question: number): Problem {
  const { hint } = problem;
  return hint === undefined
    ? problem
    : {
        ...problem,
        hint: hint.replaceAll(/lifeboat (approve|decide (?!abort|roll-back)[\w-]+)/g, `$& --question ${question}`),
      };
}
