import { ApplicationFailure } from '@temporalio/common';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import type { Plan } from '../plan/schema.js';
import { type Hide, secretHider } from '../plan/hide-secrets.js';

/**
 * The last gate before history: wherever the value of one of the plan's secrets stands in a result or a failure, its
 * reference stands instead. Nothing should put it there; tools print surprising things when they fail.
 */
export function keepSecretsOut(plan: Plan, planDirectory: string): ActivityInterceptorsFactory {
  return () => ({
    inbound: {
      async execute(input, next) {
        const hide = await secretHider(plan, planDirectory);
        try {
          return hide<unknown>(await next(input));
        } catch (error) {
          if (error instanceof ApplicationFailure) {
            const { message, type, nonRetryable, nextRetryDelay } = error;
            const details = error.details ?? [];
            throw ApplicationFailure.create({
              message: hide(message),
              details: hide(details),
              ...(type ? { type } : {}),
              nonRetryable: nonRetryable === true,
              ...(nextRetryDelay === undefined || nextRetryDelay === null ? {} : { nextRetryDelay }),
            });
          }
          hideIn(error, hide);
          throw error;
        }
      },
    },
  });
}

/** An error and what caused it, to the last: Temporal writes all of them down. */
function hideIn(error: unknown, hide: Hide): void {
  for (let one = error, depth = 0; one instanceof Error && depth < 20; one = one.cause, depth += 1) {
    one.message = hide(one.message);
    if (one.stack) one.stack = hide(one.stack);
  }
}
