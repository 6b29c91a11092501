import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { Lab } from '../lab.js';
import { length, type Span, union, without } from './spans.js';
import type { Traced } from './trace.js';

export type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;

/**
 * The orchestration's own share of an incident: the time in which no program that it started was at work, PostgreSQL
 * was neither asked nor starting, nobody was waited for, and no fixed watch time ran. Everything else is counted
 * against Lifeboat, whatever it did then.
 */
export interface OwnShare {
  total: number;
  tools: number;
  people: number;
  watch: number;
  own: number;
  /**
   * Of the own share: until the incident began, until a worker took an activity, inside of activities (by their names),
   * and between them.
   */
  before: number;
  queued: number;
  inside: Record<string, number>;
  between: number;
}

export interface Measured {
  /** From the command's first moment to the phase `recovered`. */
  whole: Span;
  people: Span;
  watchSeconds: number;
  history: History;
  traced: Traced[];
  servers: Span[];
}

interface ActivityTimes {
  name: string;
  scheduled: number;
  started: number;
  closed: number;
}

export function ownShare({ whole, people, watchSeconds, history, traced, servers }: Measured): OwnShare {
  const activities = activitiesOf(history);
  const watching = activities
    .filter(({ name }) => name === 'watchServices')
    .map(({ started }) => ({ from: started, to: started + watchSeconds * 1000 }));
  const tools = [...traced, ...servers];
  const own = without([whole], [...tools, people, ...watching]);
  const began =
    Number(history.events![0]!.eventTime!.seconds) * 1000 + (history.events![0]!.eventTime!.nanos ?? 0) / 1e6;
  const within = (spans: Span[]) => seconds(length(own) - length(without(own, spans)));
  const running = activities.map(({ started, closed }) => ({ from: started, to: closed }));
  const queued = without(
    activities.map(({ scheduled, started }) => ({ from: scheduled, to: started })),
    running,
  );
  const inside: Record<string, number> = {};
  for (const { name, started, closed } of activities)
    inside[name] = (inside[name] ?? 0) + within([{ from: started, to: closed }]);
  const before = { from: whole.from, to: began };
  return {
    total: seconds(length([whole])),
    tools: seconds(length([whole]) - length(without([whole], tools))),
    people: seconds(length([people])),
    watch: watchSeconds,
    own: seconds(length(own)),
    before: within([before]),
    queued: within(queued),
    inside,
    between: seconds(length(without(own, [before, ...queued, ...running]))),
  };
}

const seconds = (milliseconds: number): number => milliseconds / 1000;

function activitiesOf(history: History): ActivityTimes[] {
  const events = history.events ?? [];
  const at = (id: unknown) => timeOf(events.find(({ eventId }) => String(eventId) === String(id))!);
  return events.flatMap((event) => {
    const end = event.activityTaskCompletedEventAttributes ?? event.activityTaskFailedEventAttributes;
    if (!end) return [];
    const scheduled = events.find(({ eventId }) => String(eventId) === String(end.scheduledEventId))!;
    return [
      {
        name: scheduled.activityTaskScheduledEventAttributes!.activityType!.name!,
        scheduled: timeOf(scheduled),
        started: at(end.startedEventId),
        closed: timeOf(event),
      },
    ];
  });
}

/** When the phase became `recovered`, as Temporal wrote it down. */
export function recoveredAt(history: History): number {
  const event = (history.events ?? []).find((one) => {
    const fields = one.upsertWorkflowSearchAttributesEventAttributes?.searchAttributes?.indexedFields ?? {};
    return Object.values(fields).some(({ data }) => data && Buffer.from(data).toString() === '"recovered"');
  });
  if (!event) throw new Error('the incident did not recover');
  return timeOf(event);
}

function timeOf({ eventTime }: NonNullable<History['events']>[number]): number {
  return Number(eventTime!.seconds) * 1000 + (eventTime!.nanos ?? 0) / 1e6;
}

export function readTrace(file: string): Traced[] {
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Traced)
    : [];
}

/**
 * The times in which a server that Lifeboat had started came up, recovered or caught up, as its own log tells them:
 * from its first line to the pause at the target, from the end of redo to being ready, and for a standby to streaming.
 */
export function serverTimes(lab: Lab): Span[] {
  const state = lab.env['LIFEBOAT_STATE_DIR']!;
  return union(
    ['db1', 'db2'].flatMap((host) => {
      const folder = join(state, lab.system, host, 'logs');
      return existsSync(folder)
        ? readdirSync(folder).flatMap((log) => busyTimes(readFileSync(join(folder, log), 'utf8')))
        : [];
    }),
  );
}

const begins = /LOG: {2}(starting PostgreSQL|redo done at|received promote request)/;
const ends =
  /LOG: {2}(recovery has paused|pausing at the end of recovery|started streaming WAL|database system is ready to accept connections)/;

function busyTimes(log: string): Span[] {
  const found: Span[] = [];
  let from: number | undefined;
  for (const line of log.split('\n')) {
    const at = Date.parse(/^[\d-]+ [\d:.]+ \w+/.exec(line)?.[0] ?? '');
    if (Number.isNaN(at)) continue;
    if (begins.test(line)) from ??= at;
    else if (ends.test(line) && from !== undefined) {
      found.push({ from, to: at });
      from = undefined;
    }
  }
  return found;
}
