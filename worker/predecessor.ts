import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { ActivityNotFoundError, AsyncCompletionClient } from '@temporalio/client';
import type { ActivityInterceptorsFactory, NativeConnection } from '@temporalio/worker';
import { isAlive, startOf } from '../activities/processes.js';
import { connectionSettings } from './connect.js';

/**
 * A worker that was killed leaves attempts behind which Temporal would miss only after their heartbeat time-out. The
 * one that comes back on this machine says so at once, and the recovery goes on a second after a crash instead of half
 * a minute.
 */
/**
 * An attempt stays noted for this long after its end: killed in this moment, nobody knows whether Temporal has heard of
 * the end.
 */
const notedAfterItsEnd = 10_000;

/** Writes down each attempt's task token, and which process works on it. */
export function noteTasks(folder: string): ActivityInterceptorsFactory {
  const start = startOf(process.pid);
  return ({ info }) => ({
    inbound: {
      async execute(input, next) {
        const file = join(folder, `${info.workflowExecution?.runId ?? 'none'}-${info.activityId}-${info.attempt}`);
        // The directory of state may be removed under a running worker: then it is made anew, here, before each
        // activity. An attempt that cannot be
        // noted is made all the same: it only takes longer until the death of its worker is noticed.
        await mkdir(folder, { recursive: true }).catch(() => undefined);
        await writeFile(file, [info.base64TaskToken, process.pid, await start].join('\n')).catch(() => undefined);
        try {
          return await next(input);
        } finally {
          setTimeout(() => void rm(file, { force: true }), notedAfterItsEnd).unref();
        }
      },
    },
  });
}

/**
 * Fails the attempts of processes that died, so that they are retried now. Temporal knows those that were over already,
 * and refuses.
 */
export async function failPredecessors(folder: string, who: string, connection: NativeConnection): Promise<void> {
  const client = new AsyncCompletionClient({ connection, namespace: connectionSettings().namespace });
  const names = await readdir(folder).catch(() => []);
  await Promise.all(
    names.map(async (name) => {
      const file = join(folder, name);
      const [token = '', pid, start = ''] = (await readFile(file, 'utf8').catch(() => '')).split('\n');
      if (await isAlive(Number(pid), start)) return;
      if (token !== '') await fail(client, Buffer.from(token, 'base64'), `${who} was killed and came back`);
      await rm(file, { force: true });
    }),
  );
}

/** A Temporal that has only just come back itself may need a moment. */
async function fail(client: AsyncCompletionClient, token: Uint8Array, message: string): Promise<void> {
  for (let left = 20; left > 0; left -= 1) {
    try {
      // The activity has waited long enough.
      await client.fail(
        token,
        ApplicationFailure.create({ type: 'WorkerRestarted', message, nextRetryDelay: '50 milliseconds' }),
      );
      return;
    } catch (error) {
      if (error instanceof ActivityNotFoundError) return;
      await pause(250);
    }
  }
}
