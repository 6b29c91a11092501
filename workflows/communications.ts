import { condition, isCancellation, proxyActivities, setHandler } from '@temporalio/workflow';
import type { ControlActivities } from '../activities/control.js';
import type { Watched } from '../activities/notifications/channels.js';
import type { Notice } from '../vocabulary/alert.js';
import { controlQueue } from '../vocabulary/names.js';
import type { IncidentNews } from '../vocabulary/news.js';
import { incidentKey, isLast, noticesOf } from './announcements.js';
import { onControl } from './activities.js';
import { newsSignal } from './messages.js';
import { problemOf } from './problems.js';
import { raise, resolve } from './shared/alert.js';
import { isFailureOf } from '../steps/failure.js';

export interface CommunicationsInput {
  system: string;
  /** Its ID. */
  incident: string;
}

/** How long one notice is tried over one channel, in seconds; that it did not arrive is an alert long before. */
const patience = 86_400;
const untilAlert = '10 minutes';

/**
 * Tells the channels of the plan how an incident stands, beside it and for as long as it is open: the incident signals
 * what has changed, and waits for nothing here. Each channel is told everything in its order, whatever the others do;
 * what one does not take becomes an alert.
 */
export async function communications({ system, incident }: CommunicationsInput): Promise<void> {
  const notices: Notice[] = [];
  let news: IncidentNews | undefined;
  setHandler(newsSignal, (now) => {
    notices.push(...noticesOf(news, now));
    news = now;
  });
  const over = () => news !== undefined && isLast(news);
  const { channels } = await channelsOf(system);
  await Promise.all(channels.map((channel) => tell(system, incident, channel, notices, over)));
}

/** Until the control worker has read them: without the channels nobody can be told at all. */
async function channelsOf(system: string): Promise<Watched> {
  for (;;) {
    try {
      return await onControl(system, 'look', 'read the channels').readChannels({ form: 'execute' });
    } catch (error) {
      if (isCancellation(error)) throw error;
    }
  }
}

async function tell(
  system: string,
  incident: string,
  channel: Watched['channels'][number],
  notices: Notice[],
  over: () => boolean,
) {
  /** What a message of this channel is answered under. */
  const threads: Record<string, string> = {};
  const send = proxyActivities<ControlActivities>({
    taskQueue: controlQueue(system),
    startToCloseTimeout: '1 minute',
    scheduleToCloseTimeout: untilAlert,
    retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
    summary: `${incident} · ${channel.name}`,
  });
  const alert = `communications/${channel.name}`;
  const told = { raised: false };
  const fails = async (notice: Notice, why: string) => {
    told.raised = true;
    await raise(system, notTold(alert, channel.name, notice, why));
  };
  const skipped = new Set<string>();
  /** Whether that one is done with. */
  const sent = async (notice: Notice): Promise<boolean> => {
    const thread = threads[notice.key];
    try {
      const answer = await send.sendNotice({
        form: 'execute',
        channel: channel.name,
        notice: thread === undefined ? notice : { ...notice, thread },
      });
      if (answer.thread !== undefined) threads[notice.key] ??= answer.thread;
      if (answer.refused && answer.refused.length > 0)
        await fails(notice, `not to ${answer.refused.join(', ')}: refused`);
      else if (told.raised) {
        told.raised = false;
        await resolve(system, alert, `${channel.name} takes notices again`);
      }
      return true;
    } catch (error) {
      if (isCancellation(error)) throw error;
      const { message, hint = '' } = problemOf(error);
      await fails(notice, `${message} ${hint}`.trim());
      return isFailureOf(error, 'NoticeRefused', 'SecretMissing') !== undefined;
    }
  };
  for (let at = 0; ; at += 1) {
    // An incident that was terminated says no more: it is not waited for for ever.
    if (!(await condition(() => at < notices.length || over(), '90 days'))) return;
    const notice = notices[at];
    if (!notice) return;
    const until = Date.now() + patience * 1000;
    do {
      // It would send people to a question that somebody has answered; and then the answer is of no use either.
      if (notice.state === 'raised' && notice.key !== incidentKey(incident) && isAnswered(notices, at))
        skipped.add(notice.key);
    } while (!skipped.has(notice.key) && !(await sent(notice)) && Date.now() < until);
  }
}

const isAnswered = (notices: Notice[], at: number): boolean =>
  notices.slice(at + 1).some(({ key, state }) => key === notices[at]!.key && state === 'resolved');

const notTold = (key: string, channel: string, { title }: Notice, why: string) => ({
  key,
  severity: 'warning' as const,
  title: `${channel} was not told: ${title}`,
  text: `${why}. Whoever reads only ${channel} does not know: tell them yourself. Then: lifeboat alerts test`,
});
