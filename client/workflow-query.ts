import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { tsToMs } from '@temporalio/common/lib/time.js';
import { controlQueue, doctorWorkflowId } from '../vocabulary/names.js';
import { priority } from '../vocabulary/priority.js';
import type { Progress } from '../vocabulary/incident.js';
import { onceBegun } from './patience.js';

/** Asks a workflow that only looks; as many at once as there are who ask. */
export async function ask<T>(temporal: Client, system: string, workflow: string, input: object): Promise<T> {
  return onceBegun(
    await temporal.workflow.start(workflow, {
      workflowId: doctorWorkflowId(system, `${workflow}-${randomUUID()}`),
      taskQueue: controlQueue(system),
      args: [{ system, ...input }],
      priority: priority.asked,
    }),
  );
}

/** What the activities of a workflow that runs now say of how far they are. */
export async function progressOf(temporal: Client, workflowId: string, runId?: string): Promise<Progress[]> {
  const { raw } = await temporal.workflow.getHandle(workflowId, runId).describe();
  return (raw.pendingActivities ?? []).flatMap((pending) => {
    const waiting = pausedBy(pending, workflowId) ?? waitingFor(pending, Date.now());
    if (waiting) return [waiting];
    const payload = pending.heartbeatDetails?.payloads?.[0];
    const progress = payload && defaultPayloadConverter.fromPayload<Progress | null>(payload);
    return progress ? [progress] : [];
  });
}

type Pending = NonNullable<
  Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['describe']>>['raw']['pendingActivities']
>[number];

/**
 * Seconds after which a worker that does not take up its work is worth a word: one that runs does it in milliseconds.
 */
const worthAWord = 3;

/** Somebody holds it by Temporal's own CLI or UI. Its clock runs on meanwhile, and nobody is asked. */
function pausedBy({ paused, pauseInfo, activityType, activityId }: Pending, workflowId: string): Progress | undefined {
  if (!paused) return undefined;
  const { identity, reason } = pauseInfo?.manual ?? {};
  const who = identity ? `, by ${identity}` : '';
  return {
    what: `${activityType?.name ?? 'the next activity'} is paused in Temporal${who}${reason ? ` (${reason})` : ''}. To go on:`,
    type: `temporal activity unpause --workflow-id ${workflowId} --activity-id ${activityId}`,
    waits: true,
  };
}

/**
 * Work that nobody does at the moment: a worker that does not take it up, or an attempt that failed and is made again.
 */
function waitingFor(
  { state, attempt, activityType, scheduledTime, lastFailure, activityOptions }: Pending,
  now: number,
): Progress | undefined {
  if (Number(state) !== scheduledState) return undefined;
  const name = activityType?.name ?? 'the next activity';
  const queue = activityOptions?.taskQueue?.name ?? '';
  const who = queue.includes('/host/') ? `the agent of ${queue.slice(queue.lastIndexOf('/') + 1)}` : 'a worker';
  const since = scheduledTime ? (now - tsToMs(scheduledTime)) / 1000 : 0;
  const failed =
    (attempt ?? 1) > 1 && lastFailure?.message ? `attempt ${Number(attempt) - 1} failed: ${lastFailure.message}` : '';
  // In the future: the pause between two attempts.
  if (since < 0) return { what: `${name} is tried again in ${Math.ceil(-since)} s; ${failed}`, waits: true };
  if (since < worthAWord) return undefined;
  return {
    what: `${who} has not taken up ${name} for ${Math.floor(since)} s${failed ? `; ${failed}` : ''}`,
    waits: true,
  };
}

/** PENDING_ACTIVITY_STATE_SCHEDULED: no worker has it. */
const scheduledState = 1;
