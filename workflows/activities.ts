import { type ActivityOptions, proxyActivities, type RetryPolicy } from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control.js';
import type { HostActivities } from '../activities/host.js';
import { controlQueue, hostQueue } from '../vocabulary/names.js';
import { ended } from './last-task.js';

/** How activities are called: on which queue, for how long, and how often again. */

/**
 * An attempt that ends because its agent died is taken up again as often as it takes; an attempt that fails by itself
 * is tried a few times (activities/attempts.ts), and then a person is asked. 100 bounds an agent that every attempt
 * kills.
 */
const retry = {
  ...{
    initialInterval: '500 milliseconds',
    backoffCoefficient: 2,
    maximumInterval: '10 seconds',
    maximumAttempts: 100,
  },
  // Of a worker that does not know the activity: it is older than this workflow, and does not become newer by itself.
  nonRetryableErrorTypes: ['NotFoundError'],
} satisfies RetryPolicy;

/** A host may be gone: work that its agent has not taken by then fails, and says so. */
const scheduleToStartTimeout = '30 seconds';
/** How soon a dead agent is noticed, when it does not come back to say so itself. */
const heartbeatTimeout = '30 seconds';

/**
 * Who ends an incident goes on only when what was running has ended too: two hands on one directory would be worse than
 * none.
 */
const cancellationType = 'WAIT_CANCELLATION_COMPLETED' as const;

export const patience = {
  /** Reads. */
  look: { startToCloseTimeout: '10 minutes', scheduleToCloseTimeout: '30 minutes', heartbeatTimeout, retry },
  /** What is good to know, and is not waited for: a host that is away says nothing. */
  ask: {
    startToCloseTimeout: '15 seconds',
    scheduleToCloseTimeout: '20 seconds',
    heartbeatTimeout: '15 seconds',
    retry,
  },
  /** Changes that can be made twice with the same end. */
  change: { startToCloseTimeout: '30 minutes', scheduleToCloseTimeout: '2 hours', heartbeatTimeout, retry },
  /** Restores, backups, verification: as long as they show progress. */
  long: { startToCloseTimeout: '3 days', heartbeatTimeout, retry },
  /** What is tidied up at an end must not hold it up. */
  tidy: {
    startToCloseTimeout: '2 minutes',
    scheduleToCloseTimeout: '3 minutes',
    heartbeatTimeout,
    retry: { ...retry, maximumAttempts: 5 },
  },
} satisfies Record<string, ActivityOptions>;

export type Patience = keyof typeof patience;

export function onHost(system: string, host: string, kind: Patience, summary: string): HostActivities {
  const activities = proxyActivities<HostActivities>({
    ...patience[kind],
    scheduleToStartTimeout,
    cancellationType,
    taskQueue: hostQueue(system, host),
    summary: `${summary} · ${host}`,
  });
  return waitedFor(activities, failedOn(host));
}

function waitedFor<Activities extends object>(activities: Activities, failed: (error: unknown) => never): Activities {
  return new Proxy(activities, {
    get: (of, name) => (input: never) =>
      ended((of[name as keyof Activities] as (input: never) => Promise<unknown>)(input)).catch(failed),
  });
}

/** A failure does not say on which host: a person must know where to look. */
const failedOn = (host: string) => (error: unknown) => {
  if (error instanceof Error) Object.assign(error, { host });
  throw error;
};

export function onControl(system: string, kind: Patience, summary: string): ControlActivities {
  const activities = proxyActivities<ControlActivities>({
    ...patience[kind],
    cancellationType,
    taskQueue: controlQueue(system),
    summary,
  });
  return waitedFor(activities, (error) => {
    throw error;
  });
}
