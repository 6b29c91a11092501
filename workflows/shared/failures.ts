import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';

/** The message of a failure when it is of one of these kinds (activities/errors.ts); undefined when it is not. */
export function isFailureOf(error: unknown, ...kinds: string[]): string | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure && kinds.includes(cause.type ?? '') ? cause.message : undefined;
}

/** What a verification found wrong, one line each, the same line for the same damage; empty for other failures. */
export function findingsOf(error: unknown): string[] {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (!(cause instanceof ApplicationFailure) || cause.type !== 'VerificationFailed') return [];
  return (cause.details?.[0] as { findings?: string[] } | undefined)?.findings ?? [];
}

/** A name, number or digest that a failure carries; undefined when it has none of that name. */
export function factOf(error: unknown, name: string): unknown {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure ? (cause.details?.[0] as Record<string, unknown> | undefined)?.[name] : undefined;
}
