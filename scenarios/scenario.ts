import type { AnyQuestion, AnyStep, InputOf, OutputOf, Question } from '../steps/step.js';
import type { IncidentInput } from '../vocabulary/declaration.js';
import type { ComponentRecord } from '../vocabulary/component.js';
import type { IncidentState, Mode } from '../vocabulary/incident.js';
import type { PlanFacts } from '../vocabulary/plan-facts.js';
import type { Decision, Problem } from '../vocabulary/question.js';

/** What a scenario is, for everyone: the workflow runs it, the document prints it, the CLI offers it. */

type Part = AnyStep | AnyQuestion;

/** What an incident offers a scenario. `Parts`: the steps and questions that it has declared; no other can be taken. */
export interface Incident<Parts extends Part = Part> {
  readonly mode: Mode;
  readonly real: boolean;
  /** What was asked for when it was declared. */
  readonly request: Readonly<IncidentInput>;
  readonly plan: PlanFacts;
  readonly state: IncidentState;
  /**
   * Takes a step. When it fails for good a person is asked. Throws {@link Chosen} when that person chose what is the
   * scenario's to do, {@link HandedBack} when the failure is.
   */
  do<One extends Parts & AnyStep>(step: One, input: InputOf<One>): Promise<OutputOf<One>>;
  /** Asks a person, and waits for as long as it takes. A drill and a dry run approve themselves, and say so. */
  ask<One extends Parts & AnyQuestion>(
    question: One,
    input: One extends Question<string, infer In> ? In : never,
  ): Promise<Decision>;
  /**
   * The same work on several components or hosts at once; steps and questions bear its name, and each may be asked
   * while the others go on. Ends when all have ended.
   */
  each<T, R>(
    over: readonly T[],
    named: (one: T) => string,
    work: (branch: Incident<Parts>, one: T) => Promise<R>,
  ): Promise<R[]>;
  component(name: string): ComponentRecord;
  /** The moment from which components serve again: their RTO. */
  serves(components: readonly string[], how: Serves): void;
  /** Goes over into another scenario, with its name, timeline, clock and lock. */
  escalate(scenario: string): never;
  warn(...lines: string[]): void;
}

/** How it is known that something serves. */
export interface Serves {
  /** Lifeboat has seen it. */
  verified: boolean;
  /** Since when, where that is known of a component by itself; ISO 8601. */
  since?: Record<string, string>;
}

/** One option of `lifeboat start NAME`. */
export interface Option {
  /** As commander takes it. */
  readonly flags: string;
  readonly means: string;
  /** It changes what is done with production: a drill does not take it. */
  readonly real?: true;
}

export interface Scenario<Parts extends Part = Part> {
  readonly name: string;
  readonly title: string;
  readonly symptoms: readonly string[];
  /** What is said when it is declared. */
  readonly options: readonly Option[];
  /** All that it may do, in this order. */
  readonly steps: readonly Parts[];
  recover(incident: Incident<Parts>): Promise<void>;
}

export const scenario = <Parts extends Part>(of: Scenario<Parts>): Scenario<Parts> => of;

/** A question of a step was answered with a choice of the scenario's own. */
export class Chosen extends Error {
  constructor(readonly decision: Decision) {
    super(decision.choice);
    this.name = 'Chosen';
  }
}

/** A step failed in a way that is the scenario's to deal with. */
export class HandedBack extends Error {
  constructor(
    readonly step: string,
    readonly problem: Problem,
  ) {
    super(problem.message);
    this.name = 'HandedBack';
  }
}
