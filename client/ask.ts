import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { controlQueue, doctorWorkflowId } from '../plan/names.js';
import type { Progress } from '../workflows/state.js';
import { onceBegun } from './patience.js';

/** Asks a workflow that only looks; as many at once as there are who ask. */
export async function ask<T>(temporal: Client, system: string, workflow: string, input: object): Promise<T> {
  return onceBegun(
    await temporal.workflow.start(workflow, {
      workflowId: doctorWorkflowId(system, `${workflow}-${randomUUID()}`),
      taskQueue: controlQueue(system),
      args: [{ system, ...input }],
    }),
  );
}

/** What the activities of a workflow that runs now say of how far they are. */
export async function progressOf(temporal: Client, workflowId: string, runId?: string): Promise<Progress[]> {
  const { raw } = await temporal.workflow.getHandle(workflowId, runId).describe();
  return (raw.pendingActivities ?? []).flatMap(({ heartbeatDetails }) => {
    const payload = heartbeatDetails?.payloads?.[0];
    const progress = payload && defaultPayloadConverter.fromPayload<Progress | null>(payload);
    return progress ? [progress] : [];
  });
}
