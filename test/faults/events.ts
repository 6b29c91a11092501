import { setTimeout as pause } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import type { Lab } from '../../lab/lab.js';
import { incidentWorkflowId } from '../../vocabulary/names.js';
import { seed } from './seed.js';

/** What the history of an incident says: an activity is scheduled, so its step runs; or it is over. */
export interface Seen {
  when: 'running' | 'done';
  activity: string;
}

const deadlineExceeded = 4;

/** The history of a lab's incident, over a connection of the test's own, which is made anew whenever it is lost. */
class Events {
  private connection: Connection | undefined;
  private page: Uint8Array | undefined;
  private readonly scheduled = new Map<string, string>();
  private next = 1;

  constructor(private readonly lab: Lab) {}

  /**
   * What has come since the last call; the first time, and after {@link look}, at once, and then as soon as there is
   * something. Undefined, when Temporal does not answer.
   */
  async more(): Promise<Seen[] | undefined> {
    try {
      this.connection ??= await Connection.connect({ address: this.lab.temporalAddress, connectTimeout: '2s' });
      const { history, nextPageToken } = await this.connection.withDeadline(Date.now() + 2000, () =>
        this.connection!.workflowService.getWorkflowExecutionHistory({
          namespace: 'default',
          execution: { workflowId: incidentWorkflowId(this.lab.system) },
          waitNewEvent: true,
          ...(this.page ? { nextPageToken: this.page } : {}),
        }),
      );
      this.page = nextPageToken.length > 0 ? nextPageToken : undefined;
      const seen = (history?.events ?? [])
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
      // Of a run that is over, it is told at once.
      if (!this.page) await pause(30);
      return seen;
    } catch (error) {
      if ((error as { code?: number }).code === deadlineExceeded) return [];
      await this.close();
      await pause(30);
      return undefined;
    }
  }

  /** The next call waits for nothing. */
  look(): void {
    this.page = undefined;
  }

  async close(): Promise<void> {
    await this.connection?.close().catch(() => undefined);
    this.connection = undefined;
    this.page = undefined;
  }
}

export interface Killing {
  kill(): Promise<void>;
  /**
   * Called when nothing has happened since the last death: for who holds the workflow back meanwhile, so that it makes
   * one step at a time.
   */
  goOn?(): void;
  over(): boolean;
  /** Where it dies. */
  points: string[];
}

/**
 * Calls `kill` as soon as each activity is seen running for the first time, and as soon as it is seen done, where that
 * is one of its points, until it is `over`. What two activities do at once, one death hits both. Returns where it
 * killed.
 */
export async function killAtSteps(lab: Lab, { kill, goOn, over, points }: Killing): Promise<string[]> {
  const events = new Events(lab);
  const killed: string[] = [];
  try {
    while (!over()) {
      const seen = await events.more();
      const news = seen
        ?.map(({ when, activity }) => `${activity} ${when}`)
        .filter((point) => points.includes(point) && !killed.includes(point));
      if (news && news.length > 0) {
        killed.push(...new Set(news));
        await kill();
        events.look();
      } else if (seen) goOn?.();
    }
  } finally {
    goOn?.();
    await events.close();
  }
  return killed;
}

/** Every activity of a restore by its name in the history. */
const activitiesOfARestore = [
  ...[
    'readPlan',
    'checkRequest',
    'stopService',
    'stopWrites',
    'saveEvidence',
    'assess',
    'listCandidates',
    'restoreBeside',
  ],
  ...[
    'verifyRestored',
    'behindFence',
    'lookAtNeighbours',
    'putInPlace',
    'copyFigures',
    'openDatabase',
    'startService',
    'checkHealth',
  ],
  ...['watchServices', 'watchDatabase', 'protect', 'takeBackup', 'release', 'rebuildStandby', 'writeReport'],
];

/**
 * Of each activity of a restore its middle or its end. What one of the two who are killed so (the control worker,
 * Temporal) does not come to, the other one does; another day, or with another seed, it is the other way round.
 */
export const halfOfTheSteps = (who: 'control worker' | 'Temporal'): string[] =>
  activitiesOfARestore.map(
    (activity, at) => `${activity} ${(at + seed() + (who === 'Temporal' ? 1 : 0)) % 2 === 0 ? 'running' : 'done'}`,
  );
