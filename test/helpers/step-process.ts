// An agent for one step: what was built, without a worker and without Temporal. It loads first, and then reads from
// stdin what it is asked,
// so that the next one is ready when the one before it dies. Node runs this file by itself.
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type * as contextModule from '../../activities/context.js';
import type * as hostModule from '../../activities/host.js';
import type * as clusterModule from '../../activities/postgres/cluster.js';
import type * as loadModule from '../../plan/load.js';
import type * as environmentModule from '../../worker/environment.js';
import type * as protectModule from '../../worker/keep-protected.js';
import type * as leftoversModule from '../../worker/leftovers.js';

export interface AskedOfProcess {
  activity: string;
  host: string;
  input: object;
  /** Set for what it does. */
  env: Record<string, string>;
  /** Canary, archiving and row counts run beside, as they do in an agent. */
  loops: boolean;
}

const dist = new URL('../../dist/', import.meta.url);
const built = (file: string): Promise<unknown> => import(new URL(file, dist).href);
const { loadPlan } = (await built('plan/load.js')) as typeof loadModule;
const { createHostActivities } = (await built('activities/host.js')) as typeof hostModule;
const { hostState } = (await built('activities/context.js')) as typeof contextModule;
const { resolveDirectories } = (await built('activities/postgres/cluster.js')) as typeof clusterModule;
const { clearLeftovers } = (await built('worker/leftovers.js')) as typeof leftoversModule;
const { settleEnvironment } = (await built('worker/environment.js')) as typeof environmentModule;
const { keepProtected } = (await built('worker/keep-protected.js')) as typeof protectModule;
const { asyncLocalStorage, Context } = await import('@temporalio/activity');

const loaded = await loadPlan(process.env['LIFEBOAT_PLAN']!);

for await (const line of createInterface({ input: process.stdin })) {
  const { activity, host, input, env, loops } = JSON.parse(line) as AskedOfProcess;
  Object.assign(process.env, env);
  const { plan, digest, directory } = loaded;
  settleEnvironment(plan);
  const context = {
    plan,
    planDirectory: directory,
    planDigest: digest,
    host,
    state: await hostState(plan.system, host),
  };
  await resolveDirectories(context);
  await clearLeftovers(context);
  const over = new AbortController();
  const protecting = loops ? keepProtected(context, over.signal, () => undefined) : undefined;
  try {
    const activities = createHostActivities(context) as unknown as Record<string, (input: object) => Promise<unknown>>;
    const result = await asyncLocalStorage.run(attemptOf(activity), () =>
      activities[activity]!({ form: 'execute', ...input }),
    );
    over.abort();
    await protecting;
    writeSync(1, JSON.stringify(result ?? null));
    process.exit(0);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}

/** The first attempt of an activity, as a worker would hand it over. */
function attemptOf(activityType: string): InstanceType<typeof Context> {
  const info = {
    activityType,
    activityId: activityType,
    attempt: 1,
    workflowExecution: { workflowId: 'steps', runId: 'steps' },
  };
  const never = new AbortController().signal;
  const parts = [info, new Promise(() => undefined), never, () => undefined, undefined, console, undefined, {}];
  return new Context(...(parts as unknown as ConstructorParameters<typeof Context>));
}
