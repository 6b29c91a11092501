import {
  CancellationScope,
  condition,
  continueAsNew,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control.js';
import type { Watched } from '../activities/notifications/channels.js';
import { controlQueue } from '../vocabulary/names.js';
import { onControl, onHost } from './activities.js';
import { AlertBook, type Book, type Outgoing, type Pace } from './alert-book.js';
import type { AlertsNow, Notice, TestedChannel } from '../vocabulary/alert.js';
import { alertsQuery, raiseSignal, resolveSignal } from './messages.js';
import { problemOf } from './problems.js';
import { isFailureOf } from '../steps/failure.js';

export interface AlertsInput {
  system: string;
  /** What the run before knew. */
  book?: Book;
  /** Tests have no day to wait. */
  pace?: Partial<Pace>;
}

const usual: Pace = { check: 300, remind: 86_400, again: 3600, patience: 86_400, history: 1500 };

/**
 * The open alerts of a system, one workflow for as long as it lives: others raise and resolve by signal, every host is
 * asked for trouble every five minutes, and each channel is told of each alert once, again after a day, and when it is
 * over. Every notice travels beside everything else: neither a channel that is down nor a host that does not answer
 * holds up the rest.
 */
export async function alerts({ system, book: before, pace: hurried }: AlertsInput): Promise<never> {
  const pace = { ...usual, ...hurried };
  const book = new AlertBook(system, pace, before);
  /** What is on its way, and the activity that sends it. */
  const sending = new Map<Outgoing, string>();
  // Handlers first: a signal may be older than this run.
  setHandler(raiseSignal, (alert) => book.raise(alert, '', Date.now()));
  setHandler(resolveSignal, ({ key, text }) => book.resolve(key, '', Date.now(), text));
  setHandler(alertsQuery, () => nowOf(book.book, sending));
  let sent = 0;
  const onTheWay = new CancellationScope();
  const run = { ending: false, checking: false };
  const send = async (out: Outgoing): Promise<void> => {
    const activity = `notice-${(sent += 1)}`;
    sending.set(out, activity);
    try {
      const notice = book.addressed(out);
      const answer = await onTheWay.run(() =>
        sender(system, out, activity, Date.now()).sendNotice({ form: 'execute', channel: out.channel, notice }),
      );
      book.delivered(out, answer, Date.now());
    } catch (error) {
      // What may be tried again, the next run takes up.
      if (!run.ending || isFailureOf(error, 'NoticeRefused', 'SecretMissing'))
        book.failed(out, problemOf(error), Date.now());
    } finally {
      sending.delete(out);
    }
  };

  let checkedAt = before?.lastChecked === undefined ? 0 : Date.parse(before.lastChecked);
  let looks = 0;
  const check = async (): Promise<void> => {
    checkedAt = Date.now();
    run.checking = true;
    book.follow(await readWatched(system, book.book.watched), Date.now());
    await Promise.all(book.book.watched.hosts.map((host) => ask(system, host, book)));
    book.book.lastChecked = new Date().toISOString();
    looks += 1;
    run.checking = false;
  };

  const mayEnd = () =>
    looks > 0 &&
    !run.checking &&
    (workflowInfo().historyLength > pace.history || workflowInfo().continueAsNewSuggested);
  while (!mayEnd()) {
    const now = Date.now();
    if (!run.checking && now >= checkedAt + pace.check * 1000) void check();
    book.tend(now);
    for (const out of book.sendable()) if (!sending.has(out)) void send(out);
    setCurrentDetails(describe(book.book));
    const seen = looks;
    const changed = () =>
      looks !== seen || mayEnd() || book.isDue(now) || book.sendable().some((out) => !sending.has(out));
    const next = run.checking ? book.nextDue() : Math.min(book.nextDue(), checkedAt + pace.check * 1000);
    await condition(changed, Math.min(Math.max(next - now, 500), pace.check * 1000));
  }

  // What waits for its next attempt is taken along; what is being sent at this moment ends first, so that it is not
  // sent again.
  run.ending = true;
  onTheWay.cancel();
  await condition(() => sending.size === 0);
  return continueAsNew<typeof alerts>({ system, book: book.book, ...(hurried ? { pace: hurried } : {}) });
}

async function ask(system: string, host: string, book: AlertBook): Promise<void> {
  try {
    const { found } = await onHost(system, host, 'tidy', 'look for trouble').lookForTrouble({ form: 'execute' });
    book.answered(host, found, Date.now());
  } catch (error) {
    book.silent(host, problemOf(error).message, Date.now());
  }
}

/** An attempt is short and may be repeated for a day: a channel that is down is nobody's fault here. */
const sender = (system: string, { channel, notice, until }: Outgoing, activityId: string, now: number) =>
  proxyActivities<ControlActivities>({
    taskQueue: controlQueue(system),
    activityId,
    startToCloseTimeout: '1 minute',
    scheduleToCloseTimeout: Math.max(60_000, until - now),
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '2 minutes' },
    summary: `${notice.key} ${notice.state} · ${channel}`,
  });

/** What the plan says now; as it said before, when it cannot be read. */
async function readWatched(system: string, before: Watched): Promise<Watched> {
  return onControl(system, 'tidy', 'read the channels')
    .readChannels({ form: 'execute' })
    .catch(() => before);
}

function nowOf({ open, undelivered, lastChecked }: Book, sending: Map<Outgoing, string>): AlertsNow {
  const onTheWay = [...sending].map(([{ channel, notice }, activity]) => ({ channel, title: notice.title, activity }));
  return { open, undelivered, sending: onTheWay, ...(lastChecked ? { lastChecked } : {}) };
}

function describe({ open, undelivered }: Book): string {
  if (open.length + undelivered.length === 0) return 'Nothing is wrong.';
  return [
    ...open.map(({ severity, title, since }) => `- **${severity}** ${title} (since ${since})`),
    ...undelivered.map(({ channel, title, why }) => `- undelivered by ${channel}: ${title} (${why})`),
  ].join('\n');
}

/** One test notice over each channel, critical so that it wakes people too, and at once resolved again. */
export async function testAlerts({ system }: { system: string }): Promise<TestedChannel[]> {
  const { channels } = await onControl(system, 'look', 'test the channels').readChannels({ form: 'execute' });
  const key = `test/${workflowInfo().runId}`;
  return Promise.all(
    channels.map(async ({ name: channel }): Promise<TestedChannel> => {
      const send = proxyActivities<ControlActivities>({
        taskQueue: controlQueue(system),
        startToCloseTimeout: '1 minute',
        retry: { maximumAttempts: 2 },
        summary: `test · ${channel}`,
      });
      const notice = (state: Notice['state'], text: string): Notice => ({
        ...{ key, system, state, text, severity: 'critical', at: new Date().toISOString() },
        title: 'a test of the channels of Lifeboat: nothing is wrong',
      });
      try {
        const raised = notice('raised', 'Somebody typed: lifeboat alerts test. Nothing is to be done.');
        const { thread, refused } = await send.sendNotice({ form: 'execute', channel, notice: raised });
        const resolved = notice('resolved', 'The test is over.');
        await send.sendNotice({
          form: 'execute',
          channel,
          notice: thread === undefined ? resolved : { ...resolved, thread },
        });
        if (!refused || refused.length === 0) return { channel, delivered: true };
        return {
          channel,
          delivered: false,
          why: `not to ${refused.join(', ')}: refused`,
          hint: 'Correct those addresses in the plan.',
        };
      } catch (error) {
        const { message, hint } = problemOf(error);
        return { channel, delivered: false, why: message, ...(hint ? { hint } : {}) };
      }
    }),
  );
}
