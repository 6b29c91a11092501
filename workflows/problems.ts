import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/workflow';
import { StepFailed } from '../steps/failure.js';
import type { Problem } from '../vocabulary/question.js';

/** Turns what an activity failed with into words for the person on call. */
export function problemOf(error: unknown): Problem {
  const { host } = (error ?? {}) as { host?: string };
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const where = host ?? 'the host';
  if (cause instanceof TimeoutFailure) {
    if (cause.timeoutType === 'SCHEDULE_TO_START') {
      return {
        type: 'AgentOffline',
        message: `the agent of ${where} did not take the work within its time: it is offline`,
        hint: `Start it on that host: lifeboat agent --host ${host ?? 'NAME'}; then: lifeboat decide retry`,
      };
    }
    return {
      type: 'AgentLost',
      message: `the agent of ${where} stopped answering (${String(cause.timeoutType).toLowerCase()})`,
      hint: `Look at that host and at the log of its agent; then: lifeboat decide retry`,
    };
  }
  if (cause instanceof ApplicationFailure && cause.type === 'NotFoundError') {
    return {
      type: 'ToolMissing',
      message: `the worker of ${where} runs an older Lifeboat, which cannot do this`,
      hint: `Install this version there and start its agent again: lifeboat agent --host ${host ?? 'NAME'}; then: lifeboat decide retry`,
    };
  }
  if (cause instanceof ApplicationFailure || cause instanceof StepFailed) {
    const hint = (cause.details?.[0] as { hint?: string } | undefined)?.hint;
    return { type: cause.type ?? 'Error', message: cause.message, ...(hint ? { hint } : {}) };
  }
  return { message: cause instanceof Error ? cause.message : String(cause) };
}

/** Kinds of failure that say: this request cannot be honoured, here and now. */
const refusals = ['BadRequest', 'WrongTarget', 'NotEnoughSpace', 'NoBackup', 'ToolMissing', 'SecretMissing'];

export const refuses = (problem: Problem): boolean => refusals.includes(problem.type ?? '');
