import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';

const attempts = 4;

/**
 * After a few attempts that failed by themselves there is no use in more: the failure becomes final, and the workflow asks a person. Attempts
 * that ended because the agent was killed count as well, and are not bounded by it: they throw nothing.
 */
export function finalAfterAFew(error: unknown): unknown {
  if (error instanceof CancelledFailure || Context.current().info.attempt < attempts) return error;
  if (error instanceof ApplicationFailure) {
    return ApplicationFailure.create({
      message: error.message,
      type: error.type ?? 'Error',
      nonRetryable: true,
      details: error.details ?? [],
    });
  }
  const { name, message } = error as Error;
  return name === 'AbortError' ? error : ApplicationFailure.create({ message, type: name, nonRetryable: true });
}
