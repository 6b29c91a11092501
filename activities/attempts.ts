import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';

/** The attempts of an activity: never two at once in one process, and not for ever. */

const attempts = 4;

interface Attempt {
  superseded: AbortController;
  ended: Promise<void>;
}
const running = new Map<string, Attempt>();
const signals = new WeakMap<Context, AbortSignal>();
/** How often an activity failed by itself, here. */
const failures = new Map<string, number>();

const nameOf = ({ info }: Context) => `${info.workflowExecution?.runId ?? ''} ${info.activityId}`;

/**
 * Runs an attempt when no earlier one of the same activity is left in this process. Temporal starts the next attempt
 * when it heard nothing of one for too long (it was away itself, or this process hung), although that one goes on: it
 * is told to end, and waited for.
 */
export async function attempt<T>(work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const name = nameOf(context);
  const earlier = running.get(name);
  const superseded = new AbortController();
  const signal = AbortSignal.any([context.cancellationSignal, superseded.signal]);
  signals.set(context, signal);
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const own: Attempt = { superseded, ended };
  running.set(name, own);
  try {
    earlier?.superseded.abort(new CancelledFailure('a later attempt has begun'));
    await earlier?.ended;
    signal.throwIfAborted();
    const result = await work();
    // What it found after it was told to end is not to be believed: its programs and sessions were ended under it.
    signal.throwIfAborted();
    failures.delete(name);
    return result;
  } catch (error) {
    throw signal.aborted ? error : finalAfterAFew(name, error);
  } finally {
    if (running.get(name) === own) running.delete(name);
    end();
  }
}

/** Aborts when the attempt of this context was cancelled, timed out, or gave way to a later one. */
export const signalOf = (context: Context): AbortSignal => signals.get(context) ?? context.cancellationSignal;

/**
 * After a few attempts that failed by themselves there is no use in more: the failure becomes final, and the workflow
 * asks a person. Attempts that ended because the agent was killed or stopped do not count.
 */
function finalAfterAFew(name: string, error: unknown): unknown {
  const failed = (failures.get(name) ?? 0) + 1;
  failures.set(name, failed);
  if (failed < attempts) return error;
  failures.delete(name);
  if (error instanceof ApplicationFailure) {
    return ApplicationFailure.create({
      message: error.message,
      type: error.type ?? 'Error',
      nonRetryable: true,
      details: error.details ?? [],
    });
  }
  const { name: kind, message } = error as Error;
  return kind === 'AbortError' ? error : ApplicationFailure.create({ message, type: kind, nonRetryable: true });
}
