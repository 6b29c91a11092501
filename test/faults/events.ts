import { setTimeout as pause } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import type { Lab } from '../../lab/lab.js';
import { incidentWorkflowId } from '../../plan/names.js';

/** What the history of an incident says: an activity is scheduled, so its step runs; or it is over. */
export interface Seen {
  when: 'running' | 'done';
  activity: string;
}

/** The history of a lab's incident, over a connection of the test's own, which is made anew whenever it is lost. */
export class Events {
  private connection: Connection | undefined;
  private readonly scheduled = new Map<string, string>();
  private next = 1;

  constructor(private readonly lab: Lab) {}

  /** What has come since the last call; waits a moment for it. Undefined, when Temporal does not answer. */
  async more(): Promise<Seen[] | undefined> {
    try {
      this.connection ??= await Connection.connect({ address: this.lab.temporalAddress, connectTimeout: '2s' });
      const client = new Client({ connection: this.connection });
      const { events } = await this.connection.withDeadline(Date.now() + 3000, () =>
        client.workflow.getHandle(incidentWorkflowId(this.lab.system)).fetchHistory(),
      );
      const seen = (events ?? [])
        .filter(({ eventId }) => Number(eventId) >= this.next)
        .flatMap((event): Seen[] => {
          this.next = Number(event.eventId) + 1;
          const activity = event.activityTaskScheduledEventAttributes?.activityType?.name;
          if (activity) {
            this.scheduled.set(String(event.eventId), activity);
            return [{ when: 'running', activity }];
          }
          const done = event.activityTaskCompletedEventAttributes?.scheduledEventId;
          return done ? [{ when: 'done', activity: this.scheduled.get(String(done)) ?? '?' }] : [];
        });
      if (seen.length === 0) await pause(30);
      return seen;
    } catch {
      await this.close();
      await pause(30);
      return undefined;
    }
  }

  async close(): Promise<void> {
    await this.connection?.close().catch(() => undefined);
    this.connection = undefined;
  }
}

export interface Killing {
  kill(): Promise<void>;
  /** Called when nothing has happened since the last death: for who holds the workflow back meanwhile, so that it makes one step at a time. */
  goOn?(): void;
  over(): boolean;
}

/**
 * Calls `kill` as soon as each activity is seen running for the first time, and as soon as it is seen done, until it is `over`. What two
 * activities do at once, one death hits both. Returns where it killed.
 */
export async function killAtEveryStep(lab: Lab, { kill, goOn, over }: Killing): Promise<string[]> {
  const events = new Events(lab);
  const killed: string[] = [];
  try {
    while (!over()) {
      const seen = await events.more();
      const news = seen?.map(({ when, activity }) => `${activity} ${when}`).filter((point) => !killed.includes(point)) ?? [];
      killed.push(...new Set(news));
      if (news.length > 0) await kill();
      else if (seen) goOn?.();
    }
  } finally {
    goOn?.();
    await events.close();
  }
  return killed;
}

/** Every activity of a restore by its name in the history. */
export const activitiesOfARestore = [
  ...[
    'readPlan',
    'checkRequest',
    'stopService',
    'stopWrites',
    'saveEvidence',
    'assess',
    'listCandidates',
    'restoreBeside',
    'verifyRestored',
  ],
  ...['putInPlace', 'openDatabase', 'startService', 'checkHealth', 'watchServices', 'protect', 'takeBackup', 'release'],
  ...['rebuildStandby', 'writeReport'],
];
