import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';

/** The message of a failure when it is of one of these kinds (activities/errors.ts); undefined when it is not. */
export function isFailureOf(error: unknown, ...kinds: string[]): string | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure && kinds.includes(cause.type ?? '') ? cause.message : undefined;
}
