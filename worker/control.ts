import { hostname } from 'node:os';
import { join } from 'node:path';
import { createControlActivities } from '../activities/control.js';
import { stateRoot } from '../activities/context.js';
import type { LoadedPlan } from '../plan/load.js';
import { controlQueue } from '../vocabulary/names.js';
import { runWorker, workflowBundle } from './run-worker.js';
import { ensureSearchAttributes } from './search-attributes.js';
import { connectionSettings } from './connect.js';
import { keepAlerts } from './keep-alerts.js';
import { keepSecretsOut } from './keep-secrets-out.js';
import { logOf } from './log.js';
import { logActivities } from './log-activities.js';
import { measureIncidents } from './measure-incidents.js';
import { gaugesOf, metricsAddress } from './metrics.js';
import { settleEnvironment } from './environment.js';
import { watchOver } from './watchdog.js';
import { failPredecessors, noteTasks } from './predecessor.js';

/**
 * The control worker: it runs the workflows of a system, reads its plan for them, asks its services from outside and
 * writes reports.
 */
export async function runControl({ plan, digest, directory }: LoadedPlan, signal: AbortSignal): Promise<void> {
  settleEnvironment(plan);
  const context = {
    plan,
    planDirectory: directory,
    planDigest: digest,
    state: join(stateRoot(), plan.system),
    ...temporalUi(),
  };
  // Control workers in containers may share a directory; which of their processes is alive, each knows of its own only.
  const attempts = join(context.state, 'attempts', hostname());
  const what = 'control worker';
  const say = logOf(what, { system: plan.system });
  watchOver(what, stateRoot());
  let keeping = new AbortController();
  await runWorker({
    ...{ what, say, signal },
    worker: async (connection) => {
      await ensureSearchAttributes(connection, connectionSettings().namespace);
      return {
        taskQueue: controlQueue(plan.system),
        workflowBundle: workflowBundle(),
        activities: createControlActivities(context),
        interceptors: { activity: [noteTasks(attempts), logActivities(say), keepSecretsOut(plan, directory)] },
        // A cached incident answers `watch` without a replay of its history. When its worker is gone, another one takes
        // its next task up after this time.
        stickyQueueScheduleToStartTimeout: '2 seconds',
        maxHeartbeatThrottleInterval: '1 second',
      };
    },
    ready: async (connection) => {
      await failPredecessors(attempts, 'a control worker', connection);
      // The connection before this one is closed.
      keeping.abort();
      keeping = new AbortController();
      const until = AbortSignal.any([signal, keeping.signal]);
      void keepAlerts(plan, connection, until, say);
      if (metricsAddress()) void measureIncidents(plan.system, connection, gaugesOf(plan.system), until);
    },
  });
}

function temporalUi(): { temporalUi?: string } {
  const address = process.env['LIFEBOAT_TEMPORAL_UI'];
  return address ? { temporalUi: address } : {};
}
