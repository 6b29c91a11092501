import { join } from 'node:path';
import { resolveDirectories } from '../activities/postgres/cluster.js';
import { createHostActivities } from '../activities/host.js';
import { hostState, type HostContext } from '../activities/context.js';
import type { LoadedPlan } from '../plan/load.js';
import { hostQueue } from '../vocabulary/names.js';
import { runWorker } from './run-worker.js';
import { keepProtected } from './keep-protected.js';
import { keepSecretsOut } from './keep-secrets-out.js';
import { failPredecessors, noteTasks } from './predecessor.js';
import { clearLeftovers } from './leftovers.js';
import { onlyAgent } from './only-agent.js';
import { logOf } from './log.js';
import { logActivities } from './log-activities.js';
import { measureHost } from './measure-host.js';
import { gaugesOf, metricsAddress } from './metrics.js';
import { settleEnvironment } from './environment.js';
import { watchOver } from './watchdog.js';

/**
 * The agent of a host: it does what a workflow asks of this host, and keeps its databases' canaries and archiving alive
 * by itself.
 */
export async function runAgent(
  { plan, digest, directory }: LoadedPlan,
  host: string,
  signal: AbortSignal,
): Promise<void> {
  settleEnvironment(plan);
  const context: HostContext = {
    plan,
    planDirectory: directory,
    planDigest: digest,
    host,
    state: await hostState(plan.system, host),
  };
  const attempts = join(context.state, 'attempts');
  await onlyAgent(context);
  await resolveDirectories(context);
  await clearLeftovers(context);
  const what = `agent of ${host}`;
  const say = logOf(what, { system: plan.system, host });
  watchOver(what, context.state);
  const protecting = keepProtected(context, signal, say);
  let measuring: Promise<void> | undefined;
  await runWorker({
    ...{ what, say, signal },
    worker: () =>
      Promise.resolve({
        taskQueue: hostQueue(plan.system, host),
        activities: createHostActivities(context),
        interceptors: { activity: [noteTasks(attempts), logActivities(say), keepSecretsOut(plan, directory)] },
        maxConcurrentActivityTaskExecutions: 20,
        // Heartbeats bring progress to `watch` and an abort to the agent: by default they are held back for most of
        // their time-out, 24 s.
        maxHeartbeatThrottleInterval: '1 second',
      }),
    ready: async (connection) => {
      await failPredecessors(attempts, `the agent of ${host}`, connection);
      if (metricsAddress()) measuring ??= measureHost(context, gaugesOf(plan.system), signal);
    },
  });
  await protecting;
  await measuring;
}
