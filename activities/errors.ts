import { ApplicationFailure } from '@temporalio/common';
import { type FailureKind, failureKinds } from '../vocabulary/failure.js';

/**
 * Builds the failure to throw. `hint`: what the person on call does next. `facts`: names and sizes only, never a
 * secret.
 */
export function failure(
  kind: FailureKind,
  message: string,
  hint: string,
  facts: Record<string, unknown> = {},
): ApplicationFailure {
  return ApplicationFailure.create({
    type: kind,
    message,
    nonRetryable: !failureKinds[kind].retry,
    details: [{ hint, ...facts }],
  });
}

export function isFailure(error: unknown, kind: FailureKind): error is ApplicationFailure {
  return error instanceof ApplicationFailure && error.type === kind;
}

/** The SQLSTATE, or the system's own code, of a connection or a statement that failed; undefined when it has none. */
export function codeOf(error: unknown): string | undefined {
  const { code, details } = error as { code?: string; details?: { code?: string }[] };
  return details?.[0]?.code ?? code;
}
