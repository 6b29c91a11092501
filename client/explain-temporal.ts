import { recoverCommand } from '../vocabulary/scenario.js';
import {
  isGrpcServiceError,
  ServiceError,
  WorkflowFailedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure, TimeoutFailure } from '@temporalio/common';
import { exitCodes } from './exit-codes.js';

/** Puts an error of Temporal's client in words; undefined when it is none. */
export function explainTemporal(error: unknown): { message: string; hint?: string; code: number } | undefined {
  if (error instanceof WorkflowUpdateFailedError || error instanceof WorkflowFailedError)
    return explainCause(error.cause);
  if (error instanceof WorkflowNotFoundError) {
    return noIncident;
  }
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return { ...noWorker, hint: notTaken };
  if (error instanceof ServiceError && error.cause) return explainTemporal(error.cause);
  if (isGrpcServiceError(error) || /grpc|connection/i.test((error as Error).name)) {
    const { details, message } = error as { details?: string; message: string };
    if (/deadline|no poller|before a worker|call cancelled/i.test(details ?? message)) return noWorker;
    return {
      message: `Temporal does not answer: ${details ?? message}`,
      hint: 'Is it running, and is TEMPORAL_ADDRESS right? Start everything on this machine with: lifeboat up',
      code: exitCodes.noAnswer,
    };
  }
  return undefined;
}

export const noIncident = {
  message: 'No incident is open.',
  hint: `See those that were: lifeboat incidents. Declare one: ${recoverCommand}`,
  code: exitCodes.badInput,
};

const noWorker = {
  message: 'The incident does not answer: no control worker took up the question.',
  hint: 'Start one: lifeboat worker (or everything on this machine: lifeboat up). Nothing is lost: it goes on where it was.',
  code: exitCodes.noAnswer,
};

/** Temporal keeps what was said for a while: a worker that comes back may still take it. */
const notTaken =
  'Start one: lifeboat worker (or everything on this machine: lifeboat up). What you said may be taken yet, as soon as one runs: look with lifeboat watch before you say it again.';

/** What was asked for is right, and not now: something else holds the database. */
const refusals = ['Busy', 'Held', 'Refused'];

function explainCause(cause: unknown): { message: string; hint?: string; code: number } {
  let deepest = cause;
  while (deepest instanceof Error && deepest.cause instanceof Error) deepest = deepest.cause;
  if (deepest instanceof ApplicationFailure) {
    const hint = (deepest.details?.[0] as { hint?: string } | undefined)?.hint;
    return {
      message: deepest.message,
      ...(hint ? { hint } : {}),
      code: refusals.includes(deepest.type ?? '') ? exitCodes.refused : exitCodes.badInput,
    };
  }
  if (deepest instanceof TimeoutFailure) {
    return {
      message: 'The agent of that host did not take the work within its time: it is offline.',
      hint: 'Start it there: lifeboat agent --host NAME; see all of them: lifeboat doctor',
      code: exitCodes.noAnswer,
    };
  }
  return { message: deepest instanceof Error ? deepest.message : 'it failed', code: exitCodes.badInput };
}
