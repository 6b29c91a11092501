import { setTimeout as pause } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { alertsWorkflowId, controlQueue } from '../vocabulary/names.js';
import type { Plan } from '../plan/schema.js';
import { connectionSettings } from './connect.js';
import type { Say } from './log.js';

const everyMilliseconds = 60_000;

/**
 * Sees to it, until the signal, that the workflow that keeps a system's alerts runs: it is started where it does not
 * run, and left alone where it does. A plan that names no channel has none.
 */
export async function keepAlerts(
  plan: Plan,
  connection: NativeConnection,
  signal: AbortSignal,
  say: Say,
): Promise<void> {
  if (Object.values(plan.notifications).every((channel) => channel === undefined)) return;
  const client = new Client({ connection, namespace: connectionSettings().namespace });
  let said = '';
  while (!signal.aborted) {
    let wait = everyMilliseconds;
    try {
      await client.workflow.start('alerts', {
        workflowId: alertsWorkflowId(plan.system),
        taskQueue: controlQueue(plan.system),
        workflowIdConflictPolicy: 'USE_EXISTING',
        staticSummary: `the open alerts of ${plan.system}`,
        args: [{ system: plan.system }],
      });
      said = '';
    } catch (error) {
      wait = 2000;
      const says = (error as Error).message.split('\n')[0]!;
      if (says !== said && !stopped(signal)) say(`alerts are not kept now: ${says}`, 'warning');
      said = says;
    }
    await pause(wait, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

const stopped = (signal: AbortSignal): boolean => signal.aborted;
