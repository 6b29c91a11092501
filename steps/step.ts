import type { ControlActivities } from '../activities/control.js';
import type { HostActivities } from '../activities/host.js';
import type { Plan } from '../plan/schema.js';
import type { ComponentRecord } from '../vocabulary/component.js';
import type { IncidentInput } from '../vocabulary/declaration.js';
import type { FailureKind } from '../vocabulary/failure.js';
import type { IncidentState } from '../vocabulary/incident.js';
import type { PlanFacts } from '../vocabulary/plan-facts.js';
import type { Choice, Problem } from '../vocabulary/question.js';

/**
 * What a step is: a value that the workflow runs, the document prints, `watch` shows and the CLI offers. Pure: nothing
 * here runs Temporal. After Operation of pgroll (Start, Complete, Rollback, Validate) and the compensations of
 * Temporal's saga sample.
 */

/** What a step touches says in which form a drill and a dry run call it. */
export type Touches = 'production' | 'scratch' | 'nothing';
export type Form = 'execute' | 'rehearse';
/** How long a call may take, and how often it is tried (workflows/activities.ts). */
export type Patience = 'look' | 'ask' | 'change' | 'long' | 'tidy';

export interface Said {
  /** One line for the timeline. */
  summary: string;
}

/**
 * The activities of a host or of the control worker. `form` and `incident` are added to every call by the step: no
 * scenario can get them wrong.
 */
export type Calls<Activities> = {
  [Name in keyof Activities]: Activities[Name] extends (input: infer In) => infer Out
    ? (input: Omit<In, 'form' | 'incident'>) => Out
    : never;
};
export type HostCalls = Calls<HostActivities>;
export type ControlCalls = Calls<ControlActivities>;

/** What a step finds when it runs. */
export interface At {
  /** What was asked for when the incident was declared. */
  readonly request: Readonly<IncidentInput>;
  /** The branch that takes it, where several run side by side: the name of a component or a host. */
  readonly lane?: string;
  readonly plan: PlanFacts;
  /** What the incident knows and says: a step adds what it found. */
  readonly state: IncidentState;
  /** The record of a component: its own figures go there, and those of the incident follow. */
  component(name: string): ComponentRecord;
  /** Something of production may be changed. */
  readonly real: boolean;
  /** Whether this step is done, or only proven possible. */
  readonly form: Form;
  /** 1, and one more for each time that a person let it be tried again. */
  readonly attempt: number;
  /** Names this run of the incident: a backup that it took is not taken again. */
  readonly run: string;
  /** The agent of a host, in the form of this step. */
  on(host: string, patience: Patience): HostCalls;
  control(patience: Patience): ControlCalls;
  /** The same for what only looks, and does so in a drill and in a dry run too. */
  looksOn(host: string, patience?: Patience): HostCalls;
  /** What it would mean for who uses the service if the incident ended now. */
  writes(): 'as before' | 'stopped' | 'resumed';
  warn(...lines: string[]): void;
  /**
   * Does what holds nothing up when it fails: then `otherwise` says what to go on with. That the incident is ended goes
   * through.
   */
  orElse<T>(work: () => Promise<T>, otherwise: (problem: Problem) => T): Promise<T>;
  /** Several at once; when one fails, the others are ended. */
  together<T extends readonly (() => Promise<unknown>)[]>(
    ...works: T
  ): Promise<{ [Key in keyof T]: Awaited<ReturnType<T[Key]>> }>;
  /** The incident is being ended, and this error says so. */
  isEnding(error: unknown): boolean;
  /**
   * Whether there is a change in how it works, of this name: an incident that was declared before it goes on without.
   */
  since(change: string): boolean;
}

/** How an incident ends. */
export interface Ending {
  /** Its service was verified before; otherwise a person ended it on the way. */
  recovered: boolean;
  /** The service is to be resumed as it stands. */
  resume: boolean;
}

/** One named line of a timeline. */
export interface Step<Name extends string, In, Out extends Said> {
  /**
   * As the timeline, `watch`, the document and the tests call it; its type keeps a scenario from taking a step that it
   * has not declared.
   */
  readonly name: Name;
  /** What it does, as the printed document says it. */
  readonly does: string;
  /** When it is part of the run; always, by default. */
  readonly when?: string;
  /** What it means with the names of a plan, as Markdown; by default it means the same everywhere. */
  readonly here?: (plan: Plan, database: string) => string | undefined;
  readonly touches: Touches;
  /** Where it runs, for the timeline. */
  readonly host?: (input: In) => string;
  /** What it leaves behind for who uses the service. */
  readonly leaves?: 'writes stopped' | 'service resumed';
  readonly run: (at: At, input: In) => Promise<Out>;
  /** What goes on when a person skips it or has done it by hand; without it neither is offered. */
  readonly without?: (input: In) => Out;
  /**
   * What is left to do when a person attests what could not be proven: only then is that offered, and never to skip it.
   */
  readonly attested?: (at: At, input: In) => Promise<Out>;
  /** Choices besides retry, skip, done and abort, when it fails: the scenario goes on with them ({@link Chosen}). */
  readonly choices?: readonly Choice[];
  /** What cannot work ends the incident as refused: nothing has been changed yet. */
  readonly refuses?: true;
  /** Failures that the scenario deals with ({@link HandedBack}), and no person. */
  readonly handsBack?: readonly FailureKind[];
  /**
   * Leaves what it began safe when the incident ends, and says in which state: a clause each. Of a drill and a dry run
   * only what touches scratch is settled: nothing else was begun.
   */
  readonly settle?: (at: At, on: OnDatabase, ending: Ending) => Promise<string[]>;
  /** Throws, before anything is stopped, when what it put in place cannot be taken back. Changes nothing. */
  readonly mayUndo?: (at: At, on: OnDatabase) => Promise<void>;
  /** Takes it back while the incident is open: the steps of a roll-back, in their order, taken on the same database. */
  readonly undo?: readonly Step<string, OnDatabase, Said>[];
  /** What is so when it was taken back. */
  readonly undone?: string;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a list of steps holds such of any input
export type AnyStep = Step<string, any, any>;
export type InputOf<S> = S extends { run: (at: never, input: infer In) => unknown } ? In : never;
export type OutputOf<S> = S extends { run: (at: never, input: never) => Promise<infer Out> } ? Out : never;

/** Gives a step with the types of its input and output taken from `run`. */
export const step = <const Name extends string, In, Out extends Said>(of: Step<Name, In, Out>): Step<Name, In, Out> =>
  of;

/** What a person is asked, beside the choice to abort. */
export interface Asked {
  text: string;
  /** The figures that the person decides on. */
  facts: string[];
  choices: Choice[];
}

/** A person's decision as a line of the timeline. */
export interface Question<Name extends string, In> {
  readonly name: Name;
  readonly does: string;
  readonly when?: string;
  readonly here?: (plan: Plan, database: string) => string | undefined;
  readonly asks: (at: At, input: In) => Promise<Asked>;
}
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as with steps
export type AnyQuestion = Question<string, any>;
export const question = <const Name extends string, In>(of: Question<Name, In>): Question<Name, In> => of;

export const isStep = (of: AnyStep | AnyQuestion): of is AnyStep => 'run' in of;

/** A database of the plan, and the host that it is recovered on. */
export interface OnDatabase {
  database: string;
  host: string;
}
