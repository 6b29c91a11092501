import { setTimeout as pause } from 'node:timers/promises';
import type { Client, WorkflowExecutionInfo, WorkflowHandle } from '@temporalio/client';
import { Expected, exitCodes } from './output.js';

/** How long a control worker may take to take up what it is asked: one that runs does it in milliseconds. */
const patienceMs = 6000;

/**
 * A question that a running control worker answers at once. Fails after seconds when none runs, where Temporal itself
 * would wait for hours.
 */
export const atOnce = <T>(temporal: Client, ask: () => Promise<T>): Promise<T> =>
  temporal.withDeadline(Date.now() + patienceMs, ask);

/**
 * The result of work that may take hours, provided that a control worker has begun with it in time; otherwise it is
 * withdrawn. Throws {@link Expected}.
 */
export async function onceBegun<T>(handle: WorkflowHandle): Promise<T> {
  const ended = new AbortController();
  const result = (handle.result() as Promise<T>).finally(() => ended.abort());
  const tooLate = pause(patienceMs, true, { signal: ended.signal }).catch(() => false);
  const withdrawn = tooLate.then(async (late) => late && (await withdrawUnlessBegun(handle)));
  // Withdrawn, its result is a failure that says nothing new.
  await Promise.race([result.catch(() => undefined), withdrawn]);
  if (await withdrawn) throw nobody;
  return result;
}

/** What was withdrawn has three events: started, its first task scheduled, terminated. Nothing of it ever happened. */
export const wasWithdrawn = ({
  status,
  historyLength,
}: Pick<WorkflowExecutionInfo, 'status' | 'historyLength'>): boolean =>
  status.name === 'TERMINATED' && historyLength <= 3;

/**
 * Ends a workflow that no control worker has begun: it must not begin by itself when nobody thinks of it any more. True
 * when it was so.
 */
export async function withdrawUnlessBegun(handle: WorkflowHandle): Promise<boolean> {
  const { status, historyLength } = await handle.describe();
  // Started, and its first task scheduled: two events, and none of a worker.
  if (status.name !== 'RUNNING' || historyLength > 2) return false;
  await handle.terminate('withdrawn: no control worker took it up');
  return true;
}

export const nobody = new Expected(
  'No control worker answers: nothing was begun, and nothing was changed.',
  'Start one: lifeboat worker (or everything on this machine: lifeboat up); then say it again.',
  exitCodes.noAnswer,
);
