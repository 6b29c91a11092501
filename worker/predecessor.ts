import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { AsyncCompletionClient } from '@temporalio/client';
import type { ActivityInterceptorsFactory, NativeConnection } from '@temporalio/worker';
import { hostQueue } from '../plan/names.js';
import type { HostContext } from '../activities/context.js';
import { connectionSettings } from './connect.js';

/**
 * An agent that was killed leaves attempts behind which Temporal would miss only after their heartbeat time-out. The agent that comes back
 * says so at once, and the recovery goes on seconds after a crash instead of half a minute.
 */
const folder = (context: HostContext) => join(context.state, 'attempts');

/** Writes down each attempt's task token for as long as it runs. */
export const noteTasks =
  (context: HostContext): ActivityInterceptorsFactory =>
  ({ info }) => ({
    inbound: {
      async execute(input, next) {
        const file = join(folder(context), `${info.workflowExecution?.runId ?? 'none'}-${info.activityId}-${info.attempt}`);
        await mkdir(folder(context), { recursive: true });
        await writeFile(file, info.base64TaskToken);
        try {
          return await next(input);
        } finally {
          await rm(file, { force: true });
        }
      },
    },
  });

/** Fails the attempts of a predecessor that died, so that they are retried now. Those that are over already are none of our business. */
export async function failPredecessors(context: HostContext, connection: NativeConnection): Promise<void> {
  const client = new AsyncCompletionClient({ connection, namespace: connectionSettings().namespace });
  for (const name of await readdir(folder(context)).catch(() => [])) {
    const file = join(folder(context), name);
    // The token is read before our own attempts begin: this runs once, before the worker polls.
    const token = Buffer.from(await readFile(file, 'utf8'), 'base64');
    await client
      .fail(
        token,
        ApplicationFailure.create({
          type: 'AgentRestarted',
          message: `the agent of ${context.host} was killed and came back (queue ${hostQueue(context.plan.system, context.host)})`,
        }),
      )
      .catch(() => undefined);
    await rm(file, { force: true });
  }
}
