import type { FailureKind } from '../vocabulary/failure.js';

/**
 * Reads failures of activities, and makes those of the steps themselves. Of Temporal's classes nothing is needed here
 * but their fields.
 */

interface Failed {
  name?: string;
  type?: string | null;
  message: string;
  details?: unknown[] | null;
  cause?: Failed;
}

/** What went wrong itself, without the call around it. */
function causeOf(error: unknown): Failed | undefined {
  if (!(error instanceof Error)) return undefined;
  const failed: Failed = error as Failed;
  return failed.name === 'ActivityFailure' ? failed.cause : failed;
}

/** The message of a failure when it is of one of these kinds; undefined when it is not. */
export function isFailureOf(error: unknown, ...kinds: FailureKind[]): string | undefined {
  const cause = causeOf(error);
  return cause && (kinds as string[]).includes(cause.type ?? '') ? cause.message : undefined;
}

/** A name, number or digest that a failure carries; undefined when it has none of that name. */
export const factOf = (error: unknown, name: string): unknown =>
  (causeOf(error)?.details?.[0] as Record<string, unknown> | undefined)?.[name];

/** What a verification found wrong, one line each, the same line for the same damage; empty for other failures. */
export const findingsOf = (error: unknown): string[] =>
  isFailureOf(error, 'VerificationFailed') === undefined
    ? []
    : ((factOf(error, 'findings') as string[] | undefined) ?? []);

/** What a step itself finds wrong. `hint`: what the person on call does next. */
export class StepFailed extends Error {
  readonly details: unknown[];
  constructor(
    readonly type: FailureKind,
    message: string,
    hint?: string,
  ) {
    super(message);
    this.name = 'StepFailed';
    this.details = hint === undefined ? [] : [{ hint }];
  }
}
