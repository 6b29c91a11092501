import { Connection } from '@temporalio/client';
import { within } from './wait.js';

export type QueueKind = 'workflow' | 'activity';

type TypeNumber = NonNullable<Parameters<Connection['workflowService']['describeTaskQueue']>[0]['taskQueueType']>;
/** Temporal's TaskQueueType, which no package that we depend on exports. */
const typeNumbers = { workflow: 1, activity: 2 } as unknown as Record<QueueKind, TypeNumber>;

/**
 * Waits until somebody who came after `since` polls the queue: that a worker is there to work, whatever it has logged.
 * The server remembers dead pollers for minutes, hence the time.
 */
export async function polled(
  address: string,
  queue: string,
  kind: QueueKind,
  since: Date,
  isAlive: () => void,
  seconds = 300,
): Promise<void> {
  const connection = await within(
    `Temporal at ${address}`,
    () => (isAlive(), Connection.connect({ address, connectTimeout: '2s' })),
    seconds,
    50,
  );
  try {
    await within(
      `a worker on ${queue}`,
      async () => {
        isAlive();
        const { pollers } = await connection.workflowService.describeTaskQueue({
          namespace: 'default',
          taskQueue: { name: queue },
          taskQueueType: typeNumbers[kind],
        });
        return pollers.some(
          (poller) =>
            Number(poller.lastAccessTime?.seconds ?? 0) * 1000 + (poller.lastAccessTime?.nanos ?? 0) / 1e6 >=
            since.getTime(),
        );
      },
      seconds,
      50,
    );
  } finally {
    await connection.close();
  }
}
